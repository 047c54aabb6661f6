package report

// page is what a report says, whatever it is then written as: HTML and plain text are made from the same one, so that neither says
// more than the other. Its strings are clean (see oneLine, several), short enough, and not yet escaped.
type page struct {
	Kind  string // what kind of paper this is
	Title string
	Lead  string // it all in one sentence
	Tiles []tile // the numbers that are looked for first; at most four
	Parts []part
	Foot  []string
}

// tile is one number with what it counts.
type tile struct {
	Number, Name string
	Tone         tone
}

// part is a section. What it has is shown in the order of its fields.
type part struct {
	Head    string // "" continues the one before
	Small   bool   // under the heading before it
	Facts   []fact
	Points  []point
	Texts   []string
	Quotes  []fact // what people wrote, in their own lines
	Picture *picture
	Table   *table
	Notes   []string // in a quieter voice
}

type fact struct{ Name, Value string }

// point is one finding. In plain text and for whoever sees no colours its tone is a word.
type point struct {
	Tone tone
	Text string
}

// table has the same cells in each row.
type table struct {
	Name    string // what it is read out as
	Columns []string
	Deeds   bool // the columns are those of deeds, which a phone shows as cards
	Cards   bool // and these are those of a review's sessions
	Rows    []row
	More    string // what was left out
}

// Class is the table's in the style sheet.
func (t table) Class() string {
	switch {
	case t.Cards:
		return "s"
	case t.Deeds:
		return "d"
	}
	return "n"
}

type row struct {
	Tone  tone
	Cells []string
}

// picture is shown where pictures are; Alt says the same in words.
type picture struct {
	Name, Alt string
	// Under says to whoever sees it how it is to be read, and its times again. Plain text has no picture, and Alt says it there.
	Under         string
	Width, Height int // in which it is shown, in CSS pixels; the file has twice as many
}

// tone is how much a thing wants to be looked at.
type tone string

const (
	calm  tone = ""
	good  tone = "ok"
	warn  tone = "warn"
	alarm tone = "bad"
)

// Word is what the tone is called where colours are not seen.
func (t tone) Word() string {
	switch t {
	case good:
		return "Good"
	case warn:
		return "Note"
	case alarm:
		return "Look"
	}
	return ""
}

// Place is where a report's pictures are found from its HTML.
type Place string

// The two places.
const (
	Mailed Place = "cid:" // in the same mail, by content id
	Filed  Place = ""     // in files beside it
)

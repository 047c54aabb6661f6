package report

import (
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"strings"
)

//go:embed page.html
var pageHTML string

// MostHTML is the size that no report passes, in bytes. Gmail shows the first 102 KB of a mail and hides the rest behind a link.
const MostHTML = 100_000

// view is a page on its way into the template.
type view struct {
	page
	Place Place
}

// Src is a picture's address. It is made of our own names only.
func (v view) Src(name string) template.URL { return template.URL(string(v.Place) + name) }

// Colour is the tone as inline style, for mail programs that drop style sheets. Each has a contrast of at least 4.5 on white and on the
// light grey behind tiles; the style sheet has others for a dark page.
func (t tone) Colour() template.CSS {
	switch t {
	case good:
		return "color:#17643a"
	case warn:
		return "color:#8a4b00"
	case alarm:
		return "color:#b3261e"
	}
	return ""
}

// Edge is the colour of a tile's left side. It carries no text, and stands out on light and dark alike.
func (t tone) Edge() template.CSS {
	switch t {
	case good:
		return "#3fa56b"
	case warn:
		return "#d98a1f"
	case alarm:
		return "#d9534a"
	}
	return "#7b8794"
}

// Mark stands before a finding. Its shape says as much as its colour.
func (t tone) Mark() string {
	switch t {
	case good:
		return "✓"
	case warn:
		return "◆"
	case alarm:
		return "▲"
	}
	return "•"
}

// Told is the cell that says how a row is to be taken: the last.
func (r row) Told() int {
	if r.Tone == calm {
		return -1
	}
	return len(r.Cells) - 1
}

// write is a page as HTML, with nothing from elsewhere and no scripts. User text is escaped by the template.
func (p page) html(at Place) (string, error) {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return "", fmt.Errorf("reading the template of the report: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, view{p, at}); err != nil {
		return "", fmt.Errorf("writing the report as HTML: %w", err)
	}
	return b.String(), nil
}

// room is how much of everything a page shows. Each further squeeze shows less.
type room struct {
	rows   int // of a table of deeds
	short  int // of other tables and lists
	late   int // readings after the first
	quote  int // bytes of what somebody wrote at length
	line   int // bytes of what somebody wrote in a line
	places int // names in one sentence
}

// rooms go from what is enough for nearly every session to what fits in MostHTML whatever stands in it: a character is at most five
// bytes when it is escaped.
func rooms() []room {
	return []room{
		{rows: 60, short: 24, late: 6, quote: 4000, line: 400, places: 12},
		{rows: 40, short: 16, late: 4, quote: 2000, line: 240, places: 10},
		{rows: 24, short: 12, late: 3, quote: 1000, line: 160, places: 8},
		{rows: 12, short: 8, late: 2, quote: 600, line: 100, places: 6},
		{rows: 6, short: 5, late: 1, quote: 300, line: 60, places: 4},
	}
}

// fit draws with less and less until the HTML is small enough. The page it returns is the one that was.
func fit(at Place, draw func(room) page) (p page, html string, err error) {
	for _, r := range rooms() {
		p = draw(r)
		if html, err = p.html(at); err != nil || len(html) <= MostHTML {
			return p, html, err
		}
	}
	return p, "", fmt.Errorf("the report has %d bytes of HTML, and %d is the most a mail shows", len(html), MostHTML)
}

// written is HTML and text of one page: neither says more than the other.
func written(at Place, draw func(room) page) (html, text string, err error) {
	p, html, err := fit(at, draw)
	if err != nil {
		return "", "", err
	}
	return html, p.text(), nil
}

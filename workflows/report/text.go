package report

import (
	"strings"
	"unicode/utf8"
)

// wide is how many columns the plain text has.
const wide = 76

// text is a page in plain text.
func (p page) text() string {
	var w writer
	w.line(p.Title)
	w.line(strings.Repeat("=", min(utf8.RuneCountInString(p.Title), wide)))
	w.para("", p.Kind)
	w.gap()
	w.para("", p.Lead)
	for _, t := range p.Tiles {
		w.line("  " + strings.Repeat(" ", max(0, 12-utf8.RuneCountInString(t.Number))) + t.Number + "  " + t.Name)
	}
	for _, s := range p.Parts {
		w.part(s)
	}
	w.gap()
	w.line(strings.Repeat("-", wide))
	for _, f := range p.Foot {
		w.para("", f)
	}
	return w.String()
}

// writer writes lines of at most wide columns.
type writer struct{ strings.Builder }

func (w *writer) line(s string) {
	for _, l := range wrap(s, wide) {
		w.WriteString(l + "\n")
	}
}

func (w *writer) gap() { w.WriteByte('\n') }

// para is a paragraph; its first line begins with lead, the others are indented as far.
func (w *writer) para(lead, s string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(lead))
	for l := range strings.SplitSeq(s, "\n") {
		for _, l := range wrap(l, wide-len(indent)) {
			w.WriteString(strings.TrimRight(lead+l, " ") + "\n")
			lead = indent
		}
	}
}

func (w *writer) part(s part) {
	w.gap()
	if s.Head != "" {
		w.line(s.Head)
		under := "-"
		if s.Small {
			under = "."
		}
		w.line(strings.Repeat(under, min(utf8.RuneCountInString(s.Head), wide)))
	}
	for _, f := range s.Facts {
		w.para(f.Name+strings.Repeat(" ", max(1, 14-utf8.RuneCountInString(f.Name))), f.Value)
	}
	for _, p := range s.Points {
		lead := "- "
		if word := p.Tone.Word(); word != "" {
			lead += word + ": "
		}
		w.hang(lead, p.Text)
	}
	for _, t := range s.Texts {
		w.para("", t)
	}
	for _, q := range s.Quotes {
		w.para("", q.Name+":")
		w.quote(q.Value)
	}
	if s.Picture != nil {
		w.para("", s.Picture.Alt)
	}
	if s.Table != nil {
		w.table(s.Table)
	}
	for _, n := range s.Notes {
		w.para("", n)
	}
}

// hang is a paragraph with its further lines two columns in.
func (w *writer) hang(lead, s string) {
	for i, l := range wrap(lead+s, wide-2) {
		if i > 0 {
			l = "  " + l
		}
		w.WriteString(l + "\n")
	}
}

// quote marks every line, so that nothing somebody wrote can pass for the report's own words.
func (w *writer) quote(s string) {
	for l := range strings.SplitSeq(s, "\n") {
		for _, l := range wrap(l, wide-2) {
			w.WriteString(strings.TrimRight("> "+l, " ") + "\n")
		}
	}
}

// table writes deeds over two lines, since seven columns do not fit, and any other table in columns.
func (w *writer) table(t *table) {
	switch {
	case t.Cards:
		for _, r := range t.Rows {
			w.hang("", strings.Join(r.Cells[:3], "  "))
			var rest []string
			for i, c := range r.Cells[3:] {
				rest = append(rest, strings.ToLower(t.Columns[i+3])+": "+c)
			}
			w.para("    ", strings.Join(rest, "; "))
		}
	case t.Deeds:
		w.para("", "("+strings.Join(t.Columns, ", ")+")")
		for _, r := range t.Rows {
			w.hang("", strings.Join(filled(r.Cells[:3]), "  "))
			w.para("    ", strings.Join(filled(r.Cells[3:]), ", "))
		}
	default:
		w.columns(t)
	}
	if t.More != "" {
		w.para("", t.More)
	}
}

func filled(cells []string) (out []string) {
	for _, c := range cells {
		if c != "" {
			out = append(out, c)
		}
	}
	return out
}

// columns are as wide as what stands in them; the first gives way where there is no room, its text over several lines.
func (w *writer) columns(t *table) {
	size := make([]int, len(t.Columns))
	for _, cells := range append([][]string{t.Columns}, cellsOf(t.Rows)...) {
		for i, c := range cells {
			size[i] = max(size[i], utf8.RuneCountInString(c))
		}
	}
	rest := 0
	for _, n := range size[1:] {
		rest += n + 2
	}
	size[0] = min(size[0], max(16, wide-rest))
	for _, cells := range append([][]string{t.Columns}, cellsOf(t.Rows)...) {
		head := wrap(cells[0], size[0])
		for i, l := range head {
			if i == len(head)-1 {
				l += strings.Repeat(" ", size[0]-utf8.RuneCountInString(l))
				for j, c := range cells[1:] {
					l += strings.Repeat(" ", 2+size[j+1]-utf8.RuneCountInString(c)) + c
				}
			}
			w.line(strings.TrimRight(l, " "))
		}
	}
}

func cellsOf(rows []row) (out [][]string) {
	for _, r := range rows {
		out = append(out, r.Cells)
	}
	return out
}

// wrap breaks a line between words so that no line has more than n columns; a word that is longer is broken itself.
func wrap(s string, n int) []string {
	var lines []string
	line, used := "", 0
	flush := func() {
		lines = append(lines, line)
		line, used = "", 0
	}
	for i, word := range strings.Split(s, " ") {
		size := utf8.RuneCountInString(word)
		if i > 0 {
			if used+1+size <= n {
				line, used = line+" ", used+1
			} else {
				flush()
			}
		}
		for used+size > n {
			room := max(n-used, 1)
			runes := []rune(word)
			line += string(runes[:room])
			word = string(runes[room:])
			size -= room
			flush()
		}
		line, used = line+word, used+size
	}
	return append(lines, line)
}

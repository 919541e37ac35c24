package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"strings"
)

// The layout of a picture: a terminal of so many columns, in SVG user units.
const (
	columns      = 118
	pictureWidth = 884
	lineHeight   = 17
	margin       = 14
)

const pictureHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d"
	role="img" aria-label="The output of a command in a terminal">
<style>
	text { font: 12px ui-monospace, monospace; fill: #e6edf3; white-space: pre }
	.prompt { fill: #79c0ff }
	.error { fill: #ff7b72 }
	.warning { fill: #d29922 }
	.ok { fill: #3fb950 }
	.skipped { fill: #8b949e }
</style>
<rect width="100%%" height="100%%" rx="8" fill="#0d1117"/>
`

// lineClasses are the beginnings of lines that have a color.
var lineClasses = map[string]string{
	"$": "prompt", "error": "error", "warning": "warning", "ok": "ok", "skipped": "skipped",
}

// writePicture writes the output of a command as an SVG of a terminal. Long lines continue below.
func writePicture(path string, output []byte) error {
	var lines []string
	var classes []string
	for line := range strings.Lines(string(output)) {
		first, _, _ := strings.Cut(line, " ")
		for rest := []rune(strings.TrimRight(line, "\n")); ; {
			n := min(columns, len(rest))
			if space := strings.LastIndex(string(rest[:n]), " "); n < len(rest) && space > columns/2 {
				n = len([]rune(string(rest[:n])[:space]))
			}
			lines = append(lines, string(rest[:n]))
			classes = append(classes, lineClasses[first])
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
			rest = []rune("    " + strings.TrimLeft(string(rest), " "))
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, pictureHead, pictureWidth, len(lines)*lineHeight+2*margin)
	for i, line := range lines {
		fmt.Fprintf(&b, `<text class="%s" x="%d" y="%d">`, classes[i], margin, margin+12+i*lineHeight)
		if err := xml.EscapeText(&b, []byte(line)); err != nil {
			return err
		}
		b.WriteString("</text>\n")
	}
	b.WriteString("</svg>\n")
	return os.WriteFile(path, b.Bytes(), 0o644)
}

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/akslogin/akslogin/internal/kubelogin"
)

// Places in the picture, in its units.
const (
	pictureWidth = 860
	barsFrom     = 318
	barsTo       = pictureWidth - 142
	firstBar     = 62
	barHeight    = 18
	barStep      = 28
)

// The colours are told apart on light and on dark ground.
const pictureStyle = `
	text { font: 13px system-ui, sans-serif; fill: #1f2328 }
	.title { font-size: 16px; font-weight: 600 }
	.small { font-size: 11px; fill: #59636e }
	.name { text-anchor: end }
	.ours { fill: #0969da }
	.theirs { fill: #bc4c00 }
	.empty { fill: #818b98 }
	.quartiles { stroke: #1f2328; stroke-width: 1.5 }
	@media (prefers-color-scheme: dark) {
		text { fill: #f0f6fc }
		.small { fill: #9198a1 }
		.ours { fill: #58a6ff }
		.theirs { fill: #f0883e }
		.empty { fill: #6e7681 }
		.quartiles { stroke: #f0f6fc }
	}
`

// picture is an SVG with a bar for each contestant's median, a line over it from quartile to
// quartile, and the number beside.
func (r *report) picture() []byte {
	longest := 0.0
	for _, t := range r.Timings {
		longest = max(longest, t.Wall.P75)
	}
	at := func(ms float64) float64 { return barsFrom + ms/longest*(barsTo-barsFrom) }
	height := firstBar + barStep*len(r.Timings) + 34
	var b bytes.Buffer
	fmt.Fprintf(
		&b,
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-label="How long get-token takes">`,
		pictureWidth,
		height,
	)
	fmt.Fprintf(&b, "\n<style>%s</style>\n", pictureStyle)
	fmt.Fprint(
		&b,
		`<text class="title" x="12" y="26">How long one run of get-token takes</text>`+"\n",
	)
	fmt.Fprintf(
		&b,
		`<text class="small" x="12" y="45">milliseconds from start to end: the median of %d runs in turn, and a line from quartile to quartile</text>`+"\n",
		r.Rounds,
	)
	for i, t := range r.Timings {
		class := "empty"
		for begin, its := range map[string]string{"akslogin": "ours", "kubelogin": "theirs"} {
			if strings.HasPrefix(t.Name, begin) {
				class = its
			}
		}
		top, w := firstBar+barStep*i, t.Wall
		middle, base := float64(top)+barHeight/2, top+barHeight-5
		fmt.Fprintf(
			&b,
			`<text class="name" x="%d" y="%d">%s</text>`,
			barsFrom-10,
			base,
			escaped(t.Name),
		)
		fmt.Fprintf(
			&b,
			`<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`,
			class,
			barsFrom,
			top,
			at(w.Median)-barsFrom,
			barHeight,
		)
		fmt.Fprintf(
			&b,
			`<path class="quartiles" d="M%.1f %.1fH%.1f"/>`,
			at(w.P25),
			middle,
			at(w.P75),
		)
		fmt.Fprintf(
			&b,
			`<text x="%.1f" y="%d">%.1f<tspan class="small">%s</tspan></text>`+"\n",
			at(w.P75)+8,
			base,
			w.Median,
			requests(t.Requests),
		)
	}
	fmt.Fprintf(
		&b,
		`<text class="small" x="12" y="%d">%s; Entra ID is emulated on the same machine; kubelogin %s</text>`+"\n</svg>\n",
		height-12,
		escaped(r.Machine),
		kubelogin.Version,
	)
	return b.Bytes()
}

func requests(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return ", 1 request"
	}
	return fmt.Sprintf(", %d requests", n)
}

func escaped(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text)) // fails only when the builder does
	return b.String()
}

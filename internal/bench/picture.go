package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/akslogin/akslogin/internal/kubelogin"
)

// The layout of the picture, in SVG user units.
const (
	pictureWidth = 860
	barsFrom     = 318
	barsTo       = pictureWidth - 142
	firstBar     = 62
	barHeight    = 18
	barStep      = 28
)

// pictureStyle has colors that differ on light and on dark backgrounds.
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

const pictureHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d"
	width="%[1]d" height="%[2]d" role="img" aria-label="How long get-token takes">
<style>%s</style>
<text class="title" x="12" y="26">How long one run of get-token takes</text>
<text class="small" x="12" y="45">milliseconds from start to end: the median of %d runs in turn,
	and a line from quartile to quartile</text>
`

const pictureFoot = `<text class="small" x="12" y="%d">%s;
	Entra ID is emulated on the same machine; kubelogin %s</text>
</svg>
`

// picture returns an SVG with a bar for the median time of each contestant, a line over it from
// quartile to quartile, and the number beside it.
func (r *report) picture() []byte {
	longest := 0.0
	for _, t := range r.Timings {
		longest = max(longest, t.Wall.P75)
	}
	height := firstBar + barStep*len(r.Timings) + 34
	var b bytes.Buffer
	fmt.Fprintf(&b, pictureHead, pictureWidth, height, pictureStyle, r.Rounds)
	for i, t := range r.Timings {
		t.writeBar(&b, firstBar+barStep*i, (barsTo-barsFrom)/longest)
	}
	fmt.Fprintf(&b, pictureFoot, height-12, escape(r.Machine), kubelogin.Version)
	return b.Bytes()
}

// writeBar writes the bar of t. top is its y coordinate, and scale its length per millisecond.
func (t timing) writeBar(w io.Writer, top int, scale float64) {
	baseline, middle := top+barHeight-5, float64(top)+barHeight/2
	p25, p75 := barsFrom+t.Wall.P25*scale, barsFrom+t.Wall.P75*scale
	fmt.Fprintf(w, `<text class="name" x="%d" y="%d">%s</text>`, barsFrom-10, baseline, escape(t.Name))
	fmt.Fprintf(w, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`,
		barClass(t.Name), barsFrom, top, t.Wall.Median*scale, barHeight)
	fmt.Fprintf(w, `<path class="quartiles" d="M%.1f %.1fH%.1f"/>`, p25, middle, p75)
	fmt.Fprintf(w, `<text x="%.1f" y="%d">%.1f<tspan class="small">%s</tspan></text>`+"\n",
		p75+8, baseline, t.Wall.Median, requests(t.Requests))
}

// barClass returns the CSS class of the contestant's program.
func barClass(contestant string) string {
	switch program, _, _ := strings.Cut(contestant, ","); program {
	case "akslogin":
		return "ours"
	case "kubelogin":
		return "theirs"
	}
	return "empty"
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

func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text)) // fails only if the builder does, which never fails
	return b.String()
}

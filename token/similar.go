package token

import "strings"

// DidYouMean returns a question that names the one of names that somebody who wrote s may have
// meant, with a prefix such as "--", or "" if none is similar.
func DidYouMean(s, prefix string, names []string) string {
	fold := func(s string) string {
		return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
	}
	s = fold(s)
	best, fewest := "", min((len(s)+2)/4, 2)+1
	for _, name := range names {
		folded := fold(name)
		edits := editDistance(s, folded)
		if len(s) >= 3 && len(s) < len(folded) { // it may be an abbreviation
			edits = min(edits, 1+editDistance(s, folded[:len(s)]))
		}
		if edits < fewest || edits == fewest && best != "" && len(name) < len(best) {
			best, fewest = name, edits
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + prefix + best + "?"
}

// editDistance returns how many bytes must be inserted, removed or replaced to turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			edits := diagonal
			if a[i] != b[j] {
				edits = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], edits
		}
	}
	return row[len(b)]
}

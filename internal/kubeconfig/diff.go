package kubeconfig

// hunk is a difference between two lists: the number of items removed from the old list at an
// index, and the items added there.
type hunk struct {
	index, removed int
	added          []string
}

const maxDiffCells = 1 << 22

// diff returns the differences that keep a longest common subsequence of old and new. If finding
// that takes more than maxDiffCells, diff replaces the whole list.
func diff(old, new []string) (hunks []hunk) {
	if len(old)*len(new) > maxDiffCells {
		return []hunk{{0, len(old), new}}
	}
	// common[i][j] is the length of the longest common subsequence of old[i:] and new[j:].
	common := make([][]int, len(old)+1)
	for i := range common {
		common[i] = make([]int, len(new)+1)
	}
	for i := len(old) - 1; i >= 0; i-- {
		for j := len(new) - 1; j >= 0; j-- {
			if old[i] == new[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var h hunk
	i, j := 0, 0
	for i < len(old) || j < len(new) {
		switch {
		case i < len(old) && j < len(new) && old[i] == new[j]:
			if h.removed > 0 || len(h.added) > 0 {
				hunks = append(hunks, h)
			}
			i, j = i+1, j+1
			h = hunk{index: i}
		case j == len(new) || i < len(old) && common[i+1][j] >= common[i][j+1]:
			h.removed++
			i++
		default:
			h.added = append(h.added, new[j])
			j++
		}
	}
	if h.removed > 0 || len(h.added) > 0 {
		hunks = append(hunks, h)
	}
	return hunks
}

package runlog

import "io/fs"

// Windows has no FIFOs among its files, and lets only administrators make symbolic links.
const openNonblock, openNoFollow = 0, 0

// checkOwn returns nil: the access list of the file's folder decides who can write there.
func checkOwn(fs.FileInfo) error { return nil }

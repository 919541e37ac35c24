package runlog

// Windows has no FIFOs among its files.
const openNonblock = 0

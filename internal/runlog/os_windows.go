package runlog

// openNonblock: there are no pipes among files here.
const openNonblock = 0

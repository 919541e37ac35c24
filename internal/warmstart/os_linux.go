package warmstart

import "unsafe"

// auxv returns what the kernel passed to this process, as pairs of a tag and a value. Package
// runtime offers it to golang.org/x/sys, whose package unix would cost every start more.
//
//go:linkname auxv runtime.getAuxv
func auxv() []uintptr

// programHeader is an ELF program header of a 64-bit program.
type programHeader struct {
	kind, flags                                        uint32
	offset, address, physical, inFile, inMemory, align uintptr
}

// buildID returns the ELF notes of the running program, in which Go's linker puts a hash of all
// that was linked. They are read from memory: a file's path may lead to another build by now, its
// size and time may be those of another one, and without /proc there is no path. buildID returns ""
// if there are no notes, as with the linker's flag -buildid= .
func buildID() (id string) {
	const ( // elf.h
		atPHDR, atPHNUM = 3, 5
		ptNote, ptPHDR  = 4, 6
		maxNotes        = 4 << 10
	)
	var table *programHeader
	var n uintptr
	for pairs := auxv(); len(pairs) >= 2; pairs = pairs[2:] {
		switch pairs[0] {
		case atPHDR:
			table = *(**programHeader)(unsafe.Pointer(&pairs[1]))
		case atPHNUM:
			n = pairs[1]
		}
	}
	if table == nil || unsafe.Sizeof(n) != 8 {
		return ""
	}
	headers := unsafe.Slice(table, n)
	var self *programHeader // the header of the table itself, by which all addresses are relative
	for i := range headers {
		if headers[i].kind == ptPHDR {
			self = &headers[i]
		}
	}
	for _, h := range headers {
		if h.kind == ptNote && self != nil && h.inFile <= maxNotes {
			notes := unsafe.Add(unsafe.Pointer(table), int(h.address)-int(self.address))
			id += unsafe.String((*byte)(notes), h.inFile)
		}
	}
	return id
}

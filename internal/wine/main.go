// Wine writes two files to the folder that its argument names, with which programs built by Go run
// under wine 8, as Debian 12 has it:
//
// bcryptprimitives.dll belongs into system32. Go's programs import ProcessPrng from it. This one
// has no code: its only export is forwarded to RtlGenRandom, which takes the same arguments.
//
// overlay.json is for go build -overlay. It has os.RemoveAll and os.Root delete files in the way
// that Go has for Windows before version 10, since wine 8 refuses the newer one with an error
// that Go does not expect.
package main

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "wine: usage: wine FOLDER")
		os.Exit(2)
	}
	folder, err := filepath.Abs(os.Args[1])
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "bcryptprimitives.dll"), library(), 0o644)
	}
	if err == nil {
		err = writeOverlay(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "wine:", err)
		os.Exit(1)
	}
}

func writeOverlay(folder string) error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)),
		"src", "internal", "syscall", "windows", "at_windows.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return err
	}
	variable := []byte("var TestDeleteatFallback bool")
	if bytes.Count(source, variable) != 1 {
		return errors.New(original + " has no variable TestDeleteatFallback any more")
	}
	changed := filepath.Join(folder, "at_windows.go")
	source = bytes.Replace(source, variable, []byte("var TestDeleteatFallback = true"), 1)
	if err := os.WriteFile(changed, source, 0o644); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "overlay.json"), overlay, 0o644)
}

const (
	fileAlignment    = 0x200  // the headers, and then the section, in the file
	sectionAlignment = 0x1000 // and in memory

	name    = "bcryptprimitives.dll\x00"
	export  = "ProcessPrng\x00"
	forward = "advapi32.SystemFunction036\x00" // RtlGenRandom's exported name
)

// exportDirectory is IMAGE_EXPORT_DIRECTORY, followed by its tables of one entry each and their
// texts. Addresses are relative to the image.
type exportDirectory struct {
	Characteristics, TimeDateStamp, Version            uint32
	Name, Base, NumberOfFunctions, NumberOfNames       uint32
	AddressOfFunctions, AddressOfNames, AddressOfOrder uint32

	Function, FunctionName uint32
	Ordinal                uint16
}

// library returns the file: the headers and a section with the export directory.
func library() []byte {
	var exports exportDirectory
	size := uint32(binary.Size(exports))
	exports = exportDirectory{
		Base: 1, NumberOfFunctions: 1, NumberOfNames: 1,
		AddressOfFunctions: sectionAlignment + 40,
		AddressOfNames:     sectionAlignment + 44,
		AddressOfOrder:     sectionAlignment + 48,
		Name:               sectionAlignment + size,
		FunctionName:       sectionAlignment + size + uint32(len(name)),
		Function:           sectionAlignment + size + uint32(len(name+export)),
	}
	section := encode(exports, []byte(name+export+forward))

	dos := make([]byte, 0x40)
	copy(dos, "MZ")
	dos[0x3c] = byte(len(dos)) // where the next header begins
	optional := pe.OptionalHeader64{
		Magic:            0x20b,
		ImageBase:        0x180000000,
		SectionAlignment: sectionAlignment, FileAlignment: fileAlignment,
		MajorOperatingSystemVersion: 6, MajorSubsystemVersion: 6,
		SizeOfImage: 2 * sectionAlignment, SizeOfHeaders: fileAlignment,
		SizeOfInitializedData: fileAlignment,
		Subsystem:             pe.IMAGE_SUBSYSTEM_WINDOWS_CUI,
		DllCharacteristics: pe.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE |
			pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
		NumberOfRvaAndSizes: 16,
	}
	optional.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT] = pe.DataDirectory{
		VirtualAddress: sectionAlignment, Size: uint32(len(section)),
	}
	headers := encode(dos, []byte("PE\x00\x00"),
		pe.FileHeader{
			Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1,
			SizeOfOptionalHeader: uint16(binary.Size(optional)),
			Characteristics: pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_DLL |
				pe.IMAGE_FILE_LARGE_ADDRESS_AWARE,
		},
		optional,
		pe.SectionHeader32{
			Name:        [8]uint8{'.', 'e', 'd', 'a', 't', 'a'},
			VirtualSize: uint32(len(section)), VirtualAddress: sectionAlignment,
			SizeOfRawData: fileAlignment, PointerToRawData: fileAlignment,
			Characteristics: pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ,
		})
	file := make([]byte, 2*fileAlignment)
	copy(file, headers)
	copy(file[fileAlignment:], section)
	return file
}

func encode(parts ...any) []byte {
	var b bytes.Buffer
	for _, part := range parts {
		binary.Write(&b, binary.LittleEndian, part) // to memory, and of fixed size
	}
	return b.Bytes()
}

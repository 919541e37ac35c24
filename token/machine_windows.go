package token

import (
	"os"

	"golang.org/x/sys/windows/registry"
)

// machineID identifies this machine by its host name and by the ID that Windows creates anew when
// an image is prepared for another machine.
func machineID() string {
	name, _ := os.Hostname()
	key, err := registry.OpenKey(
		registry.LOCAL_MACHINE,
		`SOFTWARE\Microsoft\Cryptography`,
		registry.QUERY_VALUE|registry.WOW64_64KEY,
	)
	if err != nil {
		return name
	}
	defer key.Close()
	id, _, _ := key.GetStringValue("MachineGuid")
	return name + " " + id
}

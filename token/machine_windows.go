package token

import (
	"os"

	"golang.org/x/sys/windows/registry"
)

// machineID tells this machine from others: by the ID that Windows makes anew when an image is
// prepared for use elsewhere, and by its name.
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

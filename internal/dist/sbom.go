package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// billOfMaterials lists the modules that the programs are linked with, in CycloneDX's format.
func (b *builder) billOfMaterials() ([]file, error) {
	var components []cyclonedx.Component
	var refs []string
	for _, m := range b.modules {
		ids, err := m.licenseIDs()
		if err != nil {
			return nil, err
		}
		c := component(cyclonedx.ComponentTypeLibrary, m.path, m.version, ids...)
		components, refs = append(components, c), append(refs, c.BOMRef)
	}
	program := component(cyclonedx.ComponentTypeApplication, module, b.release.tag, license)
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: b.release.time.Format(time.RFC3339),
		Component: &program,
	}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}
	bom.SerialNumber = serialNumber(b.release)
	var out bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	// Most tools do not read 1.7 yet.
	if err := encoder.EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s_%s_sbom.cdx.json", programName, b.release.version())
	return []file{{name: name, data: out.Bytes()}}, nil
}

func component(kind cyclonedx.ComponentType, path, version string, licenses ...string) cyclonedx.Component {
	c := cyclonedx.Component{
		Type: kind, Name: path, Version: version,
		PackageURL: "pkg:golang/" + path + "@" + version,
		Licenses:   &cyclonedx.Licenses{},
	}
	c.BOMRef = c.PackageURL
	for _, id := range licenses {
		*c.Licenses = append(*c.Licenses, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: id}})
	}
	return c
}

// serialNumber returns a UUID made from the release, of the version that is for other uses (8).
func serialNumber(r release) string {
	sum := sha256.Sum256([]byte(module + " " + r.tag + " " + r.commit))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// SPDX-License-Identifier: BSD-3-Clause

// Reads the list of software $1 with the SPDX project's own library, and says what is wrong with it. The library judges the syntax, the
// places of fields, and the ends of relationships; the rest is checked here on what the library understood.
package main

import (
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/spdx/tools-golang/tagvalue"
	"github.com/spdx/tools-golang/utils"
)

func main() {
	file, err := os.Open(os.Args[1])
	must(err)
	document, err := tagvalue.Read(file)
	must(err)
	must(spdxlib.ValidateDocument(document))
	described, err := spdxlib.GetDescribedPackageIDs(document)
	must(err)
	require(len(described) == 1, "it describes %d packages", len(described))
	require(len(document.Files) == 0, "%d files are in no package, such as %v", len(document.Files), document.Files)
	for _, pair := range document.Relationships {
		require(slices.Contains([]string{common.TypeRelationshipDescribe, common.TypeRelationshipDependsOn}, pair.Relationship),
			"'%s' is no relationship", pair.Relationship)
	}
	for _, one := range document.Packages {
		require(one.FilesAnalyzed == (one.PackageSPDXIdentifier == described[0]) && one.FilesAnalyzed == (len(one.Files) > 0),
			"%s has %d files", one.PackageName, len(one.Files))
		if one.FilesAnalyzed {
			code, err := utils.GetVerificationCode(one.Files, "")
			must(err)
			require(code.Value == one.PackageVerificationCode.Value, "the code of %s is not that of its files", one.PackageName)
			fmt.Printf("%s of %s with %d files and %d packages\n", document.SPDXVersion, one.PackageName, len(one.Files), len(document.Packages)-1)
		}
	}
}

func require(right bool, format string, words ...any) {
	if !right {
		log.Fatalf(format, words...)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

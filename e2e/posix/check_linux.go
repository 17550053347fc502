package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"

	"causeway/e2e/posix/check"
)

// runCheck runs the conformance suite.
func runCheck(args []string) int {
	flags := flag.NewFlagSet("check", flag.ExitOnError)
	dir := flags.String("dir", ".", "directory in the file system to be tested")
	pattern := flags.String("run", "", "run only tests whose name matches this regular expression")
	skip := flags.String("skip", "^$", "leave out tests whose name matches this regular expression")
	list := flags.Bool("list", false, "list the tests and end")
	protocol := flags.String("proto", "", "protocol of the mount, for the differences that are known: nfs3")
	verbose := flags.Bool("v", false, "name each test")
	prepare := flags.String("prepare-acl", "", "make files with access control lists in this directory of the server, and end")
	verify := flags.String("verify-acl", "", "check the files of -prepare-acl in this directory of the mount, and end")
	flags.Parse(args)
	switch {
	case *list:
		for _, test := range check.Tests() {
			fmt.Println(test.Name)
		}
		return 0
	case *prepare != "":
		return failed(check.PrepareACL(*prepare))
	case *verify != "":
		return conclude(check.VerifyACL(*verify, os.Stdout))
	}
	expression, err := regexp.Compile(*pattern)
	if err != nil {
		return failed(err)
	}
	except, err := regexp.Compile(*skip)
	if err != nil {
		return failed(err)
	}
	sum, err := check.Run(check.Options{Dir: *dir, Pattern: expression, Skip: except, Protocol: *protocol, Out: os.Stdout, Verbose: *verbose})
	if err != nil {
		return failed(err)
	}
	return conclude(sum)
}

func conclude(sum check.Summary) int {
	fmt.Printf("%d tests, %d checks, %d failed, %d known\n", sum.Tests, sum.Checks, sum.Failed, sum.Known)
	if sum.Failed > 0 || sum.Checks == 0 {
		return 1
	}
	return 0
}

// failed says why a program could not do its work.
func failed(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "posix:", err)
		return 3
	}
	return 0
}

// hold waits until its input ends: a program that runs.
func hold([]string) int {
	fmt.Println("running")
	io.Copy(io.Discard, os.Stdin)
	return 0
}

package relay

import (
	"io"

	"causeway"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"
)

func reader[R any](f func(io.Reader) (R, int64, error)) func(io.Reader) (int64, error) {
	return func(r io.Reader) (int64, error) { _, n, err := f(r); return n, err }
}

// failureReaders decode results with an independent codec.
var failureReaders = map[uint32]func(io.Reader) (int64, error){
	1: reader(nfsv3.ReadGetattr3res), 2: reader(nfsv3.ReadSetattr3res), 3: reader(nfsv3.ReadLookup3res), 4: reader(nfsv3.ReadAccess3res),
	5: reader(nfsv3.ReadReadlink3res), 6: reader(nfsv3.ReadRead3res), 7: reader(nfsv3.ReadWrite3res), 8: reader(nfsv3.ReadCreate3res),
	9: reader(nfsv3.ReadMkdir3res), 10: reader(nfsv3.ReadSymlink3res), 11: reader(nfsv3.ReadMknod3res), 12: reader(nfsv3.ReadRemove3res),
	13: reader(nfsv3.ReadRmdir3res), 14: reader(nfsv3.ReadRename3res), 15: reader(nfsv3.ReadLink3res), 16: reader(nfsv3.ReadReaddir3res),
	17: reader(nfsv3.ReadReaddirplus3res), 18: reader(nfsv3.ReadFsstat3res), 19: reader(nfsv3.ReadFsinfo3res),
	20: reader(nfsv3.ReadPathconf3res), 21: reader(nfsv3.ReadCommit3res),
}

// stale is what a gateway knows of owners that learns of a change after n questions.
func stale(g *gate, n int) func(causeway.VolumeID) (string, causeway.Epoch, bool, bool) {
	return func(v causeway.VolumeID) (string, causeway.Epoch, bool, bool) {
		peer, epoch, local, ok := g.ownerOf(v)
		if n > 0 {
			n--
			epoch.Revision--
		}
		return peer, epoch, local, ok
	}
}

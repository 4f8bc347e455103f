import { fdatasyncSync, fsyncSync } from 'node:fs';
import type { PGlite } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';

type EmscriptenOptions = Parameters<NodeFS['init']>[1];

/** The part of an open file of Emscripten's NODEFS that is used here. */
interface OpenFile {
  /** File descriptor of this process. */
  readonly nfd: number;
  readonly flags: number;
  readonly node: FileNode;
  /** Emscripten's own number of it. */
  readonly fd: number;
}

interface FileNode {
  readonly mode: number;
  readonly name: string;
  readonly parent: FileNode;
}

interface Emscripten {
  readonly NODEFS: {
    readonly stream_ops: { fsync?: (file: OpenFile) => number; open: (file: OpenFile) => void };
    readonly node_ops: {
      mknod: (parent: FileNode, name: string, mode: number, dev: number) => FileNode;
      unlink: (parent: FileNode, name: string) => void;
    };
    realPath(node: FileNode): string;
  };
  readonly FS: {
    isDir(mode: number): boolean;
    /** What is remembered of a file by that name, or found on the disk. Throws where there is none. */
    lookupNode(parent: FileNode, name: string): FileNode;
    /** Forgets it. */
    destroyNode(node: FileNode): void;
    closeStream(fd: number): void;
    /** Takes one of Emscripten's own error numbers. */
    readonly ErrnoError: new (errno: number) => Error;
  };
}

/** EIO as Emscripten numbers it. */
const EIO = 29;

const O_ACCMODE = 3;
const O_RDONLY = 0;

/** template1 and template0, which nobody can connect to: as create-cluster.ts brought them to disk, so they stay. */
const TEMPLATES = /[/\\]base[/\\][14][/\\][^/\\]+$/;

/**
 * PGlite's file system on a real directory, with an fsync that reaches the disk. PGlite's own has none: Emscripten asks
 * `stream_ops.fsync` and takes its absence for success.
 *
 * Only fsync(2) comes by here; Emscripten's fdatasync(2) never reaches a file system. Postgres must therefore run with
 * `wal_sync_method=fsync` and without `-F`.
 */
export class DurableNodeFS extends NodeFS {
  /** `onAbort` is called synchronously when Postgres gives up (PANIC); it should not return: PGlite would carry on. */
  constructor(
    dir: string,
    private readonly onAbort: () => void,
  ) {
    super(dir);
  }

  /** @internal Called by PGlite. */
  override async init(pg: PGlite, options: EmscriptenOptions): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(pg, options);
    return {
      emscriptenOpts: {
        ...emscriptenOpts,
        onAbort: this.onAbort,
        preRun: [
          ...(emscriptenOpts.preRun ?? []),
          (mod) => {
            const { NODEFS, FS } = mod as unknown as Emscripten;
            undoFailedOpens({ NODEFS, FS });
            // Every open file shares this object, and every PGlite has its own copy of it.
            NODEFS.stream_ops.fsync = (file) => {
              try {
                if (FS.isDir(file.node.mode)) fsyncSync(file.nfd);
                // fdatasync writes a changed size too; what it leaves out are times.
                else if (matters(file)) fdatasyncSync(file.nfd);
                return 0;
              } catch {
                // Postgres does not trust the file any more, stops (PANIC), and recovers from the log at the next start.
                throw new FS.ErrnoError(EIO);
              }
            };
            // A start after a crash flushes every file there is. These two cases are four fifths of two thousand, and a
            // flush of a clean file can still cost a disk milliseconds.
            const matters = (file: OpenFile): boolean =>
              // Read-only: the hint of pg_flush_data to begin writing. Postgres opens what it means to flush for writing.
              (file.flags & O_ACCMODE) !== O_RDONLY && !TEMPLATES.test(NODEFS.realPath(file.node));
          },
        ],
      },
    };
  }
}

/**
 * Makes a failed open leave nothing behind. Emscripten makes a new file, remembers it, and opens it in a second step: where no file descriptor
 * was left for either step, every later attempt of Postgres met "File exists", and each failure kept one of Emscripten's 4096 descriptors.
 */
function undoFailedOpens({ NODEFS: { node_ops, stream_ops }, FS }: Emscripten): void {
  const { mknod } = node_ops;
  const { open } = stream_ops;
  /** Made last, and not opened yet. */
  let made: FileNode | undefined;
  node_ops.mknod = (parent, name, mode, dev) => {
    try {
      return (made = mknod(parent, name, mode, dev));
    } catch (error) {
      // It is remembered before it is made.
      FS.destroyNode(FS.lookupNode(parent, name));
      throw error;
    }
  };
  stream_ops.open = (file) => {
    const isNew = file.node === made;
    made = undefined;
    try {
      open(file);
    } catch (error) {
      FS.closeStream(file.fd);
      if (isNew) {
        node_ops.unlink(file.node.parent, file.node.name);
        FS.destroyNode(file.node);
      }
      throw error;
    }
  };
}

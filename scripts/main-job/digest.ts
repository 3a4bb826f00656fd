import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { getSystemErrorMessage } from "node:util";

/** What the agents find out about a file. */
export interface Digest {
  readonly sha256: string;
  /** Newline characters, as `wc -l` counts. */
  readonly lines: number;
  readonly bytes: number;
  /** When the file was changed last, in epoch milliseconds: tells a wrong answer from a file that has changed since. */
  readonly modified: number;
}

const CHUNK_BYTES = 262_144;
const NEWLINE = 0x0a;

/** Reads a file in pieces; `onChunk` is called after each. Throws what the file system says (`EACCES`, `ENOENT`, …). */
export async function digest(file: Buffer, onChunk: () => void = () => undefined): Promise<Digest> {
  const handle = await open(file, "r");
  try {
    const { size, mtimeMs } = await handle.stat();
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(1, size)));
    const hash = createHash("sha256");
    let lines = 0;
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, null);
      if (bytesRead === 0) break;
      const piece = chunk.subarray(0, bytesRead);
      hash.update(piece);
      for (let at = 0; at < bytesRead; at++) if (piece[at] === NEWLINE) lines += 1;
      bytes += bytesRead;
      onChunk();
    }
    return { sha256: hash.digest("hex"), lines, bytes, modified: mtimeMs };
  } finally {
    await handle.close();
  }
}

/** What the file system refused. */
export interface FileError {
  /** `EACCES`, `ENOENT`, … */
  readonly code: string;
  /** In its own words, without the path. */
  readonly text: string;
}

/** An error of the file system, or `undefined` when it is none of its own. */
export function fileErrorOf(error: unknown): FileError | undefined {
  if (!(error instanceof Error) || !("code" in error && "errno" in error)) return undefined;
  const { code, errno } = error as NodeJS.ErrnoException;
  return code === undefined || errno === undefined ? undefined : { code, text: getSystemErrorMessage(errno) };
}

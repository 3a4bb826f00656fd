import { MSGPACK_TYPE, decodeBody, encodeBody } from "@ergon/core/engine";

/** The node does not write a mark larger than this. The next owner then reads from the last mark. */
const MARK_BYTES = 512_000;

/** A note for the shard's next owner: every live record is either newer than `after` or one of `ids` (docs/architecture.md, "Shards and their owners"). */
interface Mark {
  readonly after: number;
  readonly ids: readonly string[];
}

const READ_ALL: Mark = { after: 0, ids: [] };

/** Encodes a mark, or returns `undefined` if it is too large or empty. */
export function encodeMark(mark: Mark): Uint8Array | undefined {
  if (mark.after === 0) return undefined;
  const data = encodeBody(mark, MSGPACK_TYPE);
  return data.length > MARK_BYTES ? undefined : data;
}

/** If a mark is unreadable, the node reads all records, and keeps the shard. */
export function decodeMark(data: Uint8Array | undefined): Mark {
  if (data === undefined) return READ_ALL;
  try {
    const { after, ids } = (decodeBody(data, MSGPACK_TYPE) ?? {}) as Partial<Mark>;
    const fits = typeof after === "number" && Array.isArray(ids) && ids.every((id) => typeof id === "string");
    return fits ? { after, ids } : READ_ALL;
  } catch {
    return READ_ALL;
  }
}

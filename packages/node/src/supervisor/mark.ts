import { MSGPACK_TYPE, decodeBody, encodeBody } from "@ergon/core/engine";

/** A mark larger than this is not written: the next owner reads from the last one. */
const MARK_BYTES = 512_000;

/** A note for the shard's next owner: every live record is either newer than `after` or one of `ids` (docs/architecture.md, "Shards and their owners"). */
interface Mark {
  readonly after: number;
  readonly ids: readonly string[];
}

const READ_ALL: Mark = { after: 0, ids: [] };

/** `undefined` for a mark that is too large, or says nothing. */
export function encodeMark(mark: Mark): Uint8Array | undefined {
  if (mark.after === 0) return undefined;
  const data = encodeBody(mark, MSGPACK_TYPE);
  return data.length > MARK_BYTES ? undefined : data;
}

/** A mark that cannot be read costs reading everything, not the shard. */
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

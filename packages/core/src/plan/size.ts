import { msgpack } from "../base/msgpack.ts";

/** The bytes of a value in a record. */
export function sizeOf(value: unknown): number {
  return value === undefined ? 0 : msgpack.pack(value).length;
}

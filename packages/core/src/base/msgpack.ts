import { Packr, RESERVE_START_SPACE } from "msgpackr";

/** MessagePack as any library reads it: plain maps, and fields that are `undefined` left out. For records and for the wire. */
export const msgpack: Packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  skipValues: [undefined],
} as ConstructorParameters<typeof Packr>[0]);

/** A byte, and behind it a value as {@link msgpack} packs it, in one buffer. */
export function packBehind(byte: number, value: unknown): Uint8Array {
  const bytes = msgpack.pack(value, RESERVE_START_SPACE + 1);
  bytes[0] = byte;
  return bytes;
}

/** The bytes of a value in a record. */
export function sizeOf(value: unknown): number {
  return value === undefined ? 0 : msgpack.pack(value).length;
}

/** Returns true if a decoded value is a map. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

import { Packr } from "msgpackr";

/** MessagePack as any library reads it: plain maps, and fields that are `undefined` left out. For records and for the wire. */
export const msgpack: Packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  skipValues: [undefined],
} as ConstructorParameters<typeof Packr>[0]);

/** Whether a decoded value is a map. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

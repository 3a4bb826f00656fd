import { sizeOf } from "../base/msgpack.ts";

/** A piece of work of a coordinator: a step of a plan, say. */
export interface Piece {
  readonly id: string;
}

/** The pieces that a piece refers to, by id; `*`: it may be any. */
interface Needs {
  readonly pieces: ReadonlySet<string>;
  /** Those of them whose output it may want. */
  readonly outputs: ReadonlySet<string>;
}

/** Pieces that run as one, with a record of their own. */
export interface Cut<P> {
  /** The ids of its first and its last piece. */
  readonly id: string;
  readonly pieces: readonly P[];
  /** Pieces of it whose outcome others refer to. */
  readonly exports: readonly string[];
  /** Those of them whose output is wanted. */
  readonly outputs: readonly string[];
  /** Pieces before it to whose outcome it refers. */
  readonly uses: readonly string[];
}

interface CutOptions<P> {
  readonly needsOf: (piece: P) => Needs;
  /** Pieces whose outcome and output the coordinator itself wants; `*`: it may be any. */
  readonly wanted: ReadonlySet<string>;
  /** Most pieces of one segment, and most bytes of them as MessagePack. */
  readonly most: { readonly pieces: number; readonly bytes: number };
}

/** Cuts work into segments, each small enough for one record that is written at each transition. A piece refers only to those before it. */
export function segmentsOf<P extends Piece>(all: readonly P[], { needsOf, wanted, most }: CutOptions<P>): Cut<P>[] {
  const chunks = chunksOf(all, most);
  const needs = chunks.map((chunk) => new Set(chunk.flatMap((piece) => [...needsOf(piece).pieces])));
  const users = lastUsers(needs);
  const readers = lastUsers(chunks.map((chunk) => new Set(chunk.flatMap((piece) => [...needsOf(piece).outputs]))));
  return chunks.map((pieces, index) => {
    const inside = new Set(pieces.map(({ id }) => id));
    const [first, last] = [pieces[0]?.id ?? "", pieces.at(-1)?.id ?? ""];
    const exports = [...inside].filter((id) => wanted.has(id) || lastUser(users, id) > index);
    return {
      id: first === last ? first : `${first}..${last}`,
      pieces,
      exports,
      outputs: exports.filter((id) => wanted.has(id) || lastUser(readers, id) > index),
      uses: [...(needs[index] ?? [])].filter((id) => !inside.has(id)),
    };
  });
}

function chunksOf<P>(all: readonly P[], most: { readonly pieces: number; readonly bytes: number }): P[][] {
  const chunks: P[][] = [];
  let chunk: P[] = [];
  let bytes = 0;
  for (const piece of all) {
    const size = sizeOf(piece);
    if (chunk.length >= most.pieces || (chunk.length > 0 && bytes + size > most.bytes)) {
      chunks.push(chunk);
      chunk = [];
      bytes = 0;
    }
    chunk.push(piece);
    bytes += size;
  }
  if (chunk.length > 0) chunks.push(chunk);
  return chunks;
}

/** The last segment that refers to a piece. */
function lastUsers(needs: readonly ReadonlySet<string>[]): ReadonlyMap<string, number> {
  const users = new Map<string, number>();
  for (const [index, ids] of needs.entries()) for (const id of ids) users.set(id, index);
  return users;
}

function lastUser(users: ReadonlyMap<string, number>, id: string): number {
  return Math.max(users.get(id) ?? -1, users.get("*") ?? -1);
}

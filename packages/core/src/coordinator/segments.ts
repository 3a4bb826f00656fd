import { sizeOf } from "../base/msgpack.ts";

/** A piece of a coordinator's work, for example a step of a plan. */
export interface Piece {
  readonly id: string;
}

/** The ids of the pieces that a piece refers to. The id `*` stands for any piece. */
interface Needs {
  readonly pieces: ReadonlySet<string>;
  /** The referenced pieces whose output the piece may read. */
  readonly outputs: ReadonlySet<string>;
}

/** A segment is a list of pieces that run as one and share a record. */
export interface Cut<P> {
  /** The ids of the segment's first and last piece. */
  readonly id: string;
  readonly pieces: readonly P[];
  /** The segment's pieces whose outcome is read outside it. */
  readonly exports: readonly string[];
  /** The exported pieces whose output is read as well. */
  readonly outputs: readonly string[];
  /** Earlier pieces whose outcome the segment reads. */
  readonly uses: readonly string[];
}

interface CutOptions<P> {
  readonly needsOf: (piece: P) => Needs;
  /** Pieces whose outcome and output the coordinator itself reads. The id `*` stands for any piece. */
  readonly wanted: ReadonlySet<string>;
  /** The limits of one segment are its number of pieces and their size as MessagePack in bytes. */
  readonly most: { readonly pieces: number; readonly bytes: number };
}

/** Cuts work into segments. Each fits into one record, which is written at each transition. A piece refers only to earlier pieces. */
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

/** Returns, for each piece, the index of the last segment that refers to it. */
function lastUsers(needs: readonly ReadonlySet<string>[]): ReadonlyMap<string, number> {
  const users = new Map<string, number>();
  for (const [index, ids] of needs.entries()) for (const id of ids) users.set(id, index);
  return users;
}

function lastUser(users: ReadonlyMap<string, number>, id: string): number {
  return Math.max(users.get(id) ?? -1, users.get("*") ?? -1);
}

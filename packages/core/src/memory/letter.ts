import type { Headers } from "../ports/bus.ts";
import type { Hop } from "./hop.ts";

/** A message in transit. */
export interface Letter {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string | undefined;
  readonly headers: Headers | undefined;
  readonly noResponders: boolean;
}

/** The connection of a process as the broker knows it. */
export interface Party {
  /** The direction from the broker to the process. */
  readonly inbound: Hop;
  /** Subjects to which the process may not publish. */
  readonly denied: ReadonlySet<string>;
  /** Tells the process that it may not publish to the subject. */
  refuse(subject: string): void;
}

/** A subscription as the broker knows it. */
export interface Interest {
  readonly link: Party;
  readonly subject: string;
  readonly queue: string | undefined;
  readonly deliver: (letter: Letter) => void;
}

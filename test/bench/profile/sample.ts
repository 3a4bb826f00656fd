/** One distinct call stack of a profile, and the time that was spent or the bytes that were allocated in it. */
export interface Sample {
  /** Innermost function first. */
  readonly stack: readonly Frame[];
  /** Microseconds or bytes. */
  readonly weight: number;
}

export interface Frame {
  readonly name: string;
  /** The path or URL of its file; empty for what the runtime does on its own. */
  readonly file: string;
}

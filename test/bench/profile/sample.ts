/** One distinct call stack of a CPU profile, and the time that was spent in it. */
export interface Sample {
  /** Innermost function first. */
  readonly stack: readonly Frame[];
  readonly us: number;
}

export interface Frame {
  readonly name: string;
  /** The path or URL of its file; empty for what the runtime does on its own. */
  readonly file: string;
}

/** The pauses between attempts. */
export interface Backoff {
  /** The pause before the second attempt. */
  readonly initialMs: number;
  /** Each pause is this many times the one before. */
  readonly factor: number;
  /** No pause is longer. */
  readonly maxMs: number;
  /** The random share of a pause: 0 gives none, 0.5 gives between half and one and a half of the pause. */
  readonly jitter: number;
}

/**
 * The pause after `failures` failed attempts (1 or more): `initial * factor^(failures-1)`, at most `max`, spread by
 * `jitter` around it and never above `max`. `chance` is a number in [0, 1).
 */
export function backoffMs(policy: Backoff, failures: number, chance: number): number {
  // A pause that began as 0 stays 0, even if the factor has grown to infinity.
  const grown = policy.initialMs === 0 ? 0 : policy.initialMs * policy.factor ** Math.max(0, failures - 1);
  const exact = Math.min(policy.maxMs, grown);
  const spread = exact * (1 + policy.jitter * (2 * chance - 1));
  return Math.round(Math.min(policy.maxMs, Math.max(0, spread)));
}

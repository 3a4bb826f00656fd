/** Why the job ends without an answer for every file; `exitCode` is the process's. */
export class Stopped extends Error {
  override readonly name = "Stopped";
  readonly exitCode: number;
  /** What else helps to understand it: the end of a log. */
  readonly details: readonly string[];

  constructor(message: string, exitCode = 1, details: readonly string[] = []) {
    super(message);
    this.exitCode = exitCode;
    this.details = details;
  }
}

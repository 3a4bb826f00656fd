import { InvalidError, type Until } from "@ergon/core";

/** Throws `InvalidError` if flags set the time of a wait without its target, or set two targets. */
export function checkTimeout(flags: {
  readonly wait?: boolean;
  readonly until?: Until;
  readonly timeout?: number;
}): void {
  if (flags.timeout !== undefined && flags.wait !== true && flags.until === undefined)
    throw new InvalidError("INVALID_OPTION", "--timeout needs --wait or --until: add one of them");
  if (flags.wait === true && flags.until !== undefined)
    throw new InvalidError(
      "INVALID_OPTION",
      "--wait waits for the end, --until for a state or a tag: use only one of them",
    );
}

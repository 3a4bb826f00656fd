import { exitCodes } from "./exit-codes.ts";
import type { Session } from "./session.ts";

/**
 * The time within which a second signal counts as the first one. A Ctrl-C reaches the whole process group, and a parent process in the group may pass it
 * on.
 */
const SAME_SIGNAL_MS = 500;

/** The pause between two messages about the work for which a stop waits. */
const SAY_EVERY_MS = 5_000;

/**
 * Registers the stop of a part that has just started. The service calls the stops in reverse order. `waitsFor` describes the work for which the stop
 * waits, if there is any.
 */
export type OnStop = (stop: () => Promise<unknown>, waitsFor?: () => string | undefined) => void;

/**
 * Starts a service and runs it until it receives a request to stop. The first SIGINT, SIGTERM or SIGHUP stops it gracefully, even while it starts. A
 * second one, 500 ms later or more, quits. The reader of its output may close it. `start` may run as long as the service, and its error stops everything
 * too.
 */
export async function runService(
  { io, output }: Session,
  start: (onStop: OnStop) => Promise<unknown>,
): Promise<number> {
  io.keepGoing();
  const stops: (readonly [stop: () => Promise<unknown>, waitsFor: (() => string | undefined) | undefined])[] = [];
  const told = Promise.withResolvers<void>();
  const hurried = Promise.withResolvers<number>();
  let firstAt: number | undefined;
  const forget = io.onSignal(() => {
    const now = performance.now();
    firstAt ??= now;
    told.resolve();
    if (now - firstAt >= SAME_SIGNAL_MS) hurried.resolve(exitCodes.interrupted.code);
  });
  const failed = new Promise<never>((_, reject) => {
    start((stop, waitsFor) => stops.push([stop, waitsFor])).catch(reject);
  });
  // After a request to stop, nobody needs the outcome of the start.
  failed.catch(() => undefined);
  const stopped = async (): Promise<number> => {
    for (const [stop, waitsFor] of stops.toReversed()) {
      const say = (): void => {
        const what = waitsFor?.();
        if (what !== undefined) output.note(`waiting for ${what}`);
      };
      say();
      const timer = setInterval(say, SAY_EVERY_MS);
      await stop().finally(() => clearInterval(timer));
    }
    return exitCodes.done.code;
  };
  try {
    await Promise.race([failed, told.promise]);
    output.note("stopping; press Ctrl-C again to quit at once");
    return await Promise.race([stopped(), hurried.promise]);
  } catch (error) {
    await Promise.race([stopped(), hurried.promise]);
    throw error;
  } finally {
    forget();
  }
}

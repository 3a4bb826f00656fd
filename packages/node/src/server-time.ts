import { messageOf, type Logger, type RecordStore, type SystemClock } from "@ergon/core";

const CALIBRATE_MS = 30_000;

/**
 * Keeps a clock on the NATS server's time, so that nodes whose own clocks differ by an hour write the same times and fire the same timers
 * (M-12, ADR-0011). Resolves after the first comparison; answers how to stop.
 */
export async function followServerTime(clock: SystemClock, records: RecordStore, logger: Logger): Promise<() => void> {
  let stopped = false;
  let timer: unknown;
  const compare = async (): Promise<void> => {
    try {
      clock.adjust(await records.time());
    } catch (error) {
      logger.warn(
        { reason: messageOf(error) },
        "the server's time could not be read; going on with the last comparison",
      );
    }
  };
  const again = (): void => {
    timer = clock.after(CALIBRATE_MS, () => {
      void compare().then(() => {
        if (!stopped) again();
      });
    });
  };
  await compare();
  again();
  return () => {
    stopped = true;
    clock.cancel(timer);
  };
}

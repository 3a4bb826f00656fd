import type { Clock, TimerHandle } from "../base/clock.ts";
import type { Bus } from "../ports/bus.ts";

/** A connection that is lost for this long is reported. */
const AWAY_MS = 1_000;

/** The state of a client's connection. */
export interface Connection {
  /** True if the connection has ever been lost. */
  readonly wasLost: boolean;
  readonly closed: boolean;
  /** Ends the reports. */
  forget(): void;
}

/** Follows the connection, and reports when it has been lost for a second and when it is back. */
export function followConnection(bus: Bus, clock: Clock, onNatsAway?: (away: boolean) => void): Connection {
  let timer: TimerHandle;
  let [wasLost, closed, told, over] = [false, false, false, false];
  const stop = (): void => {
    clock.cancel(timer);
    timer = undefined;
  };
  bus.onStatus((status) => {
    stop();
    wasLost ||= status !== "connected";
    closed ||= status === "closed";
    if (over || onNatsAway === undefined) return;
    if (status === "disconnected") {
      timer = clock.after(AWAY_MS, () => {
        told = true;
        onNatsAway(true);
      });
    } else if (status === "connected" && told) {
      told = false;
      onNatsAway(false);
    }
  });
  return {
    get wasLost() {
      return wasLost;
    },
    get closed() {
      return closed;
    },
    forget: () => {
      over = true;
      stop();
    },
  };
}

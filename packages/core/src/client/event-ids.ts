/** The number of instances whose last number is kept. A forgotten instance gets ids under a new name. */
const MOST_INSTANCES = 1_000;
const NAME_LENGTH = 12;

/**
 * Ids for the events of one client. Each instance gets a name and a number that grows by one, so the instance remembers all of them as one
 * range.
 */
export function createEventIds(newId: () => string): (instance: string) => string {
  const last = new Map<string, { readonly name: string; readonly number: number }>();
  return (instance) => {
    const { name, number } = last.get(instance) ?? { name: newId().slice(0, NAME_LENGTH), number: 0 };
    last.delete(instance);
    last.set(instance, { name, number: number + 1 });
    const [oldest] = last.keys();
    if (last.size > MOST_INSTANCES && oldest !== undefined) last.delete(oldest);
    return `${name}-${number + 1}`;
  };
}

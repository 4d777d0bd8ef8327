/** `GET /readiness?minPeers=1&maxBlocksBehind=2`: whether a balancer should send requests here. */

/** What whoever asks wants of the node; beside a connected quorum and room on the disk. */
export type Demands = { readonly minPeers: number; readonly maxBlocksBehind: number };

export type Readiness = {
  readonly ready: boolean;
  /** Each with its figure, so that a 503 says why. */
  readonly checks: Readonly<Record<string, unknown>>;
};

const usual: Demands = { minPeers: 0, maxBlocksBehind: 2 };
const NUMBER = /^[0-9]{1,9}$/;

/** In words what is wrong with the query, if anything is. */
export function readDemands(url: string): Demands | string {
  const demands: Record<keyof Demands, number> = { ...usual };
  for (const [name, value] of new URL(url, 'http://node').searchParams) {
    if (!(name === 'minPeers' || name === 'maxBlocksBehind')) {
      return `unknown parameter ${name.slice(0, 40)}: minPeers and maxBlocksBehind are known`;
    }
    if (!NUMBER.test(value)) return `${name} should be a number`;
    demands[name] = Number(value);
  }
  return demands;
}

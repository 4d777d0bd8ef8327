import { type NetworkOptions, peerIdFromSeed } from '#p2p/network.ts';
import type { FinalEvent } from '#src/chain/chain.ts';
import { CONSORTIUM_REGISTRY, VALIDATOR_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { nodeDirectory } from '#src/ledger/payments/nodeDirectory.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { systemClock } from '#src/lib/clock.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import type { Config } from './config.ts';
import type { NodeKeys } from './nodeKeys.ts';

/** Whom this node dials and lets in: as the chain says, and as its operator adds. */
export class Peers {
  readonly #own: string;
  readonly #configured = new Map<string, readonly string[]>();
  readonly #extra: readonly string[];
  #addresses = new Map<string, readonly string[]>();
  #allowed: ReadonlySet<string> = new Set();
  #essential: ReadonlySet<string> = new Set();

  constructor(config: Config, keys: NodeKeys, state: StateReader) {
    this.#own = peerIdFromSeed(keys.networkSeed);
    this.#extra = config['p2p.allow'];
    for (const text of config['p2p.peers']) {
      const [address, peerId] = text.split('/p2p/');
      if (!address || !peerId) {
        throw new UserError(EXIT.badData, `p2p.peers: "${text}" should end in /p2p/<peer id>`);
      }
      this.#configured.set(peerId, [...(this.#configured.get(peerId) ?? []), address]);
    }
    this.refresh(state);
  }

  /** Reads the chain's directory again: validators and their nodes come, go and move. */
  refresh(state: StateReader): void {
    const addresses = new Map<string, readonly string[]>();
    const essential = new Set<string>();
    const now = BigInt(Math.floor(systemClock.wall() / 1_000));
    for (const { peerId, addresses: known, isInForce } of nodeDirectory(state, now)) {
      addresses.set(peerId, known);
      if (isInForce) essential.add(peerId);
    }
    // The operator knows better how to reach a peer from here.
    for (const [peerId, known] of this.#configured) addresses.set(peerId, known);
    addresses.delete(this.#own);
    this.#addresses = addresses;
    this.#allowed = new Set([...addresses.keys(), ...this.#extra]);
    this.#essential = essential;
  }

  get dialled(): NetworkOptions['peers'] {
    return [...this.#addresses].map(([peerId, addresses]) => ({ peerId, addresses }));
  }

  get allowed(): ReadonlySet<string> {
    return this.#allowed;
  }

  /** Validators in force: whoever else is let in does not take their places. */
  get essential(): ReadonlySet<string> {
    return this.#essential;
  }
}

/**
 * Whether a final block may have changed who the members' nodes are: by a call of one of the two
 * registries, for a change of address leaves no log, or of governance, which leaves theirs.
 */
export function touchesMembership({ block, receipts }: FinalEvent): boolean {
  if (block.header.consensus.epochEnd) return true;
  if (block.transactions.some(({ to }) => to !== null && isRegistry(to))) return true;
  return receipts.some(({ logs }) => logs.some(({ address }) => isRegistry(address)));
}

function isRegistry(address: Address): boolean {
  return address === CONSORTIUM_REGISTRY || address === VALIDATOR_REGISTRY;
}

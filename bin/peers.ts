import { type NetworkOptions, peerIdFromSeed } from '#p2p/network.ts';
import type { FinalEvent } from '#src/chain/chain.ts';
import { nodeDirectory } from '#src/ledger/payments/validatorStore.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { isReservedAddress } from '#src/types/address.ts';
import type { Config } from './config.ts';
import type { NodeKeys } from './nodeKeys.ts';

/** Whom this node dials and lets in: as the chain says, and as its operator adds. */
export class Peers {
  readonly #own: string;
  readonly #configured = new Map<string, readonly string[]>();
  readonly #extra: readonly string[];
  #addresses = new Map<string, readonly string[]>();
  #allowed: ReadonlySet<string> = new Set();

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
    for (const { peerId, addresses: known } of nodeDirectory(state)) addresses.set(peerId, known);
    // The operator knows better how to reach a peer from here.
    for (const [peerId, known] of this.#configured) addresses.set(peerId, known);
    addresses.delete(this.#own);
    this.#addresses = addresses;
    this.#allowed = new Set([...addresses.keys(), ...this.#extra]);
  }

  get dialled(): NetworkOptions['peers'] {
    return [...this.#addresses].map(([peerId, addresses]) => ({ peerId, addresses }));
  }

  get allowed(): ReadonlySet<string> {
    return this.#allowed;
  }
}

/** Whether a final block may have changed who the members' nodes are. */
export function touchesMembership({ block, receipts }: FinalEvent): boolean {
  if (block.header.consensus.epochEnd) return true;
  return receipts.some(({ logs }) => logs.some(({ address }) => isReservedAddress(address)));
}

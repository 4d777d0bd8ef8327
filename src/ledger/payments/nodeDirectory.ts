import { hashToBytes } from '#src/types/hash.ts';
import { parseIngress, peerIdOfKey } from '#src/types/peerId.ts';
import type { StateReader } from '../state/reader.ts';
import { allowedNodes } from './memberNodes.ts';
import { isAdmitted, store } from './validatorStore.ts';

export type KnownNode = {
  readonly peerId: string;
  readonly addresses: readonly string[];
  /** Of a validator that decides in this epoch: without it the others may not get on. */
  readonly isInForce: boolean;
};

/** For whoever has to catch up, and asks those who decided until a little while ago. */
const leftSecondsMax = 24n * 3_600n;

/**
 * Whom to let in: validators that the members have admitted, those that left less than a day ago
 * and may still have to hand out blocks, and the nodes that members have named. A candidate that is
 * only registered is nobody yet.
 */
export function nodeDirectory(state: StateReader, nowSeconds: bigint): KnownNode[] {
  const found = new Map<string, KnownNode>();
  const add = (peerId: string, addresses: readonly string[], isInForce: boolean) => {
    if (!found.has(peerId)) found.set(peerId, { peerId, addresses, isInForce });
  };
  const left: string[] = [];
  for (let index = 0n; index < store.count.get(state); index++) {
    const validator = store.validators(index);
    const isInForce = validator.inForce.power.get(state) > 0n;
    if (isAdmitted(validator.status.get(state), isInForce)) {
      const text = validator.ingress.get(state);
      const ingress = parseIngress(text);
      if (ingress !== null) add(ingress.peerId, ingress.addresses, isInForce);
      // It may wait for its boundary under the name that it had.
      if (isInForce) add(validator.inForce.peerId.get(state), [], true);
    } else if (hasJustLeft(state, index, nowSeconds)) left.push(validator.ingress.get(state));
  }
  for (const text of left) {
    const ingress = parseIngress(text);
    if (ingress !== null) add(ingress.peerId, ingress.addresses, false);
  }
  for (const key of allowedNodes(state)) add(peerIdOfKey(hashToBytes(key)), [], false);
  return [...found.values()];
}

function hasJustLeft(state: StateReader, index: bigint, nowSeconds: bigint): boolean {
  const spans = store.keySpans(index);
  const count = spans.length(state);
  if (count === 0) return false;
  const last = spans.at(count - 1).toEpoch.get(state);
  return store.epochs(last + 1n).beganAt.get(state) + leftSecondsMax > nowSeconds;
}

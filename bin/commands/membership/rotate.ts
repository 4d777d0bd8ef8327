/**
 * A new consensus key, a step at a time: made beside the old one -> the node restarted, so that it
 * holds both -> asked for on the chain -> [boundary] -> the files change their names.
 */
import { ed25519PublicKey } from '#src/crypto/ed25519.ts';
import { toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { AuditLog } from '#storage/auditLog.ts';
import type { Client } from '../../client.ts';
import { createNextKey, openNextKey, openNodeKeys, promoteNextKey } from '../../nodeKeys.ts';
import { registry } from './contract.ts';
import { provePossession } from './join.ts';
import { readNode } from './ownNode.ts';
import { whenItCounts } from './registry.ts';
import type { Session } from './session.ts';
import { short } from './words.ts';

export type RotatePlan = {
  readonly dataDir: string;
  /** Of the node's keys. */
  readonly keysPassword: string | null;
  readonly networkId: string;
  readonly node: Client;
};

/** Does what is due; true when the rotation is done. */
export async function rotateStep(session: Session, plan: RotatePlan): Promise<boolean> {
  const { report } = session;
  const { dataDir, keysPassword, networkId } = plan;
  const next = await openNextKey(dataDir, keysPassword);
  if (next === null) {
    const made = toHex(ed25519PublicKey(await createNextKey(dataDir, keysPassword)));
    await new AuditLog(dataDir).append('consensus key made', { consensusKey: made });
    const todo = 'next: restart the node, which then holds both keys, and run this command again';
    report.say(`made a second consensus key, ${made}; ${todo}`, { nextKey: made, step: 'made' });
    return false;
  }
  const key = toHex(ed25519PublicKey(next));
  const { consensusSeeds } = await openNodeKeys(dataDir, keysPassword);
  const keys: string[] = consensusSeeds.map((seed) => toHex(ed25519PublicKey(seed)));
  const membership = await session.membership();
  const own = membership.validators.find(({ consensusKey, inForce }) => {
    return keys.includes(consensusKey) || keys.includes(inForce?.consensusKey ?? '');
  });
  if (own === undefined) {
    throw new UserError(EXIT.badData, `no validator has a key of ${dataDir}; mpbp validator join`);
  }
  const { index, inForce } = own;
  const isAsked = own.consensusKey === key;
  if (isAsked && (inForce === null || inForce.consensusKey === key)) {
    const [first] = consensusSeeds;
    const old = promoteNextKey(dataDir, first ?? next);
    await new AuditLog(dataDir).append('consensus key rotated', { consensusKey: key, old });
    report.say(`validator ${index} has the key ${key}; the old one is kept in ${old}`, {
      ...{ index, consensusKey: key, step: 'done' },
    });
    return true;
  }
  if (!isAsked) {
    const facts = await readNode(plan.node);
    if (!facts.consensusKeys.includes(key)) {
      report.say(
        `the node at ${plan.node.url} does not hold the key ${short(key)} yet: restart it, and ` +
          'run this command again',
        { index, nextKey: key, step: 'restart' },
      );
      return false;
    }
    const proof = provePossession(next, networkId, own.operator);
    await session.send(registry, 'rotateValidator', [index, ed25519PublicKey(next), proof]);
    report.say(`asked for the key ${key}`, { index, nextKey: key });
  }
  report.say(
    `validator ${index} signs with the new key ` +
      `${whenItCounts(await session.membership(), index)}; run this command once more after that`,
    { index, nextKey: key, step: 'asked' },
  );
  return false;
}

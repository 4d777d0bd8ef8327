import { Command } from 'commander';
import { fromHex } from '#src/lib/bytes.ts';
import { Client } from '../../client.ts';
import { table } from '../../output.ts';
import { findEvent, registry } from './contract.ts';
import { readMembership } from './registry.ts';
import { Report, Session, type SessionOptions, signing } from './session.ts';
import { coin, short } from './words.ts';

type Evidence = { epoch: string; consensusKey: string; firstVote: string; secondVote: string };
type Options = SessionOptions & { submit: boolean };

export function evidenceCommand(): Command {
  return signing(new Command('evidence'))
    .description('votes of validators that contradict each other, as the node has seen them')
    .option('--submit', 'send them to the chain, which takes the stake and the place', false)
    .addHelpText('after', '\nExample:\n  $ mpbp validator evidence --submit --keystore ./bank5')
    .action(evidence);
}

async function evidence(options: Options): Promise<void> {
  const client = new Client(options.rpc);
  const found = await client.call<Evidence[]>('mpbp_getEvidence');
  if (!options.submit || found.length === 0) {
    const report = new Report(options.json);
    const rows = found.map(({ epoch, consensusKey }) => [`epoch ${BigInt(epoch)}`, consensusKey]);
    const text = found.length === 0 ? 'this node has seen no contradicting votes' : table(rows);
    report.say(text, { evidence: found });
    report.end();
    return;
  }
  const session = await Session.open(options);
  for (const one of found) await submit(session, one);
  session.report.end();
}

async function submit(session: Session, one: Evidence): Promise<void> {
  const { report } = session;
  const { validators } = await readMembership(session.client);
  // The key may have been rotated away since; then its owner is not told by the set of today.
  const owner = validators.find(({ consensusKey, inForce }) => {
    return consensusKey === one.consensusKey || inForce?.consensusKey === one.consensusKey;
  });
  if (owner === undefined) {
    report.say(`nobody has the key ${short(one.consensusKey)} now; skipped`);
    return;
  }
  const votes = [one.firstVote, one.secondVote].map((vote) => fromHex(vote) ?? new Uint8Array(0));
  const receipt = await session.send(registry, 'submitEvidence', [owner.index, ...votes]);
  const amount = findEvent(receipt, registry, 'ValidatorSlashed')?.amount as bigint;
  report.say(`validator ${owner.index} loses ${coin(amount)} and leaves at the end of the epoch`, {
    index: owner.index,
    amount,
  });
}

import { Command } from 'commander';
import { Client, defaultRpc } from '../../client.ts';
import { makeOutput, printable, table } from '../../output.ts';
import { type Membership, nextBoundary, readMembership, type ValidatorInfo } from './registry.ts';
import { coin, short, statusWord } from './words.ts';

type Signers = { readonly keys: readonly string[]; readonly suspects: readonly string[] };

export function listCommand(): Command {
  return new Command('list')
    .description('all validators: their weight, their state, and what waits')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp validator list')
    .action(list);
}

async function list(options: { rpc: string; json: boolean }): Promise<void> {
  const client = new Client(options.rpc);
  const [membership, signers] = await Promise.all([readMembership(client), readSigners(client)]);
  const { validators, epoch } = membership;
  const total = validators.reduce((sum, { inForce }) => sum + (inForce?.power ?? 0n), 0n);
  const rows = validators.map((one) => rowOf(one, total, signers));
  const heads = ['index', 'member', 'status', 'votes', 'key', 'node', 'in set', 'waits', 'stake'];
  const isWaiting = validators.some((one) => pendingOf(one) !== '');
  const text = [
    `epoch ${epoch.number}, ${total} votes in the set, block ${membership.height}`,
    table([heads, ...rows]),
    ...(isWaiting ? [`what waits takes effect ${nextBoundary(membership)}`] : []),
  ];
  const data = validators.map((one) => ({
    ...one,
    status: statusWord(one.status),
    pending: pendingOf(one),
    suspect: isSuspect(one, signers),
  }));
  makeOutput(options.json).result(forMachines(membership, data), text.join('\n'));
}

function forMachines({ epoch, height }: Membership, validators: readonly unknown[]) {
  return { epoch: epoch.number, height, validators };
}

/** Leaders that let their time pass, as this node has seen; by their place in the set. */
async function readSigners(client: Client): Promise<Signers> {
  const [set, status] = await Promise.all([
    client.call<{ validators: { consensusKey: string }[] }>('mpbp_getValidators'),
    client.call<{ suspects: string[] }>('mpbp_nodeStatus'),
  ]);
  const keys = set.validators.map(({ consensusKey }) => consensusKey);
  return { keys, suspects: status.suspects.map((at) => keys[Number(at)] ?? '') };
}

function isSuspect({ inForce }: ValidatorInfo, { suspects }: Signers): boolean {
  return inForce !== null && suspects.includes(inForce.consensusKey);
}

function rowOf(one: ValidatorInfo, total: bigint, signers: Signers): string[] {
  const { index, memberId, status, inForce, ingress, stake, kind } = one;
  const power = inForce?.power ?? 0n;
  const share = total === 0n ? 0 : Number((power * 1_000n) / total) / 10;
  const key = inForce?.consensusKey ?? one.consensusKey;
  return [
    `${index}`,
    printable(memberId, 32),
    statusWord(status),
    inForce === null ? '-' : `${power} (${share} %)`,
    short(key),
    ingress === null ? '-' : `…${ingress.peerId.slice(-8)}`,
    inForce === null ? 'no' : isSuspect(one, signers) ? 'yes, silent' : 'yes',
    pendingOf(one) || '-',
    kind === 0 ? coin(stake) : 'by vote',
  ];
}

/** What is asked for and not in force. */
function pendingOf(one: ValidatorInfo): string {
  const { inForce, isQueued, power, consensusKey, status } = one;
  if (!isQueued) return '';
  if (inForce === null) return status === 3 ? `joins with ${power}` : '';
  if (status === 5 || status === 7) return 'leaves';
  const changes = [
    ...(power === inForce.power ? [] : [`${power} votes`]),
    ...(consensusKey === inForce.consensusKey ? [] : [`key ${short(consensusKey)}`]),
  ];
  return changes.join(', ') || 'address or fees';
}

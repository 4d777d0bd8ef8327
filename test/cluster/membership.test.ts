/** Real processes, commands as users type them, and a set that changes under a load of payments. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { toHex } from 'viem';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { council, encodeCall, registry } from '../../bin/commands/membership/contract.ts';
import { Devnet, eventually, rpc, run } from './devnet.ts';
import { cli, Joiner, Load, memberWords, Sender } from './joiner.ts';

const payee = '0x00000000000000000000000000000000000ca502';
/** Fewer where time is short: `MPBP_SET_CHANGES=12`. */
const setChanges = Number(process.env.MPBP_SET_CHANGES ?? 40);
const stallMsMax = 10_000;
const vote = 10n ** 18n;
const fifth = 4;
/** Of the least stake, so that the others are a quorum. */
const killed = 2;

type ValidatorSet = {
  epoch: string;
  hash: string;
  validators: { consensusKey: string; stake: string }[];
};
type Validator = { index: string; status: string; consensusKey: string; inForce: unknown };
type Block = { number: string; hash: string; stateRoot: string };

describe('a set that changes while payments go on', { timeout: 300_000 }, () => {
  let net: Devnet;
  let bank: Joiner;
  let load: Load;
  const urls = () => [...net.ready.rpc, bank.url];
  const first = () => net.ready.rpc[0] ?? '';
  const wallet = (index: number) =>
    index === fifth ? bank.keystore : join(net.dir, 'wallets', `member-${index}`);
  const signed = (index: number) => ['--keystore', wallet(index), '--rpc', first()];
  const epochOf = async (url: string) => Number((await set(url)).epoch);

  before(async () => {
    net = await Devnet.start(['--epoch-blocks-min', '2']);
    bank = new Joiner(net);
    load = new Load(first(), net.ready.chainId, payee);
  });
  after(async () => {
    await load.stop();
    await bank.stop();
    await net.destroy();
  });

  it('a fifth bank is admitted, joins by hand, and votes', async () => {
    const admin = await bank.makeWallet();
    const rich = ['--keystore', join(net.dir, 'wallets', 'rich'), '--rpc', first()];
    await cli('pay', admin, '1000', ...rich);
    const asked = await cli<{ proposalId: string }>(
      ...['member', 'add', '--id', 'bank-5', '--admin', admin, '--roles', 'validator'],
      ...signed(0),
    );
    await cli('vote', 'yes', asked.proposalId, ...signed(1));
    const passed = await cli<{ executed: boolean }>(
      ...['vote', 'yes', asked.proposalId, ...signed(2)],
    );
    assert.equal(passed.executed, true, 'three of four members are more than two thirds');

    const genesis = join(net.dir, 'genesis.json');
    await cli('init', '--genesis', genesis, '--data-dir', bank.dataDir);
    const dir = ['--data-dir', bank.dataDir, '--node', bank.url, ...signed(fifth)];
    bank.start();
    await eventually('its node answers', async () => (await epochOf(bank.url)) >= 0);
    const joined = await cli<{ proposalId: string; index: string }>(
      ...['validator', 'join', ...dir, '--address', bank.address, '--stake', '10'],
    );
    assert.equal(joined.index, `${fifth}`);
    for (const member of [0, 1, 2]) await cli('vote', 'yes', joined.proposalId, ...signed(member));
    await cli('validator', 'join', ...dir, '--watch');
    const key = (await validator(fifth)).consensusKey;
    await eventually('its signature is in a certificate', async () => {
      const { validators } = await set(first());
      const place = validators.findIndex(({ consensusKey }) => consensusKey === key);
      type Certificate = { signers: string[] };
      const { signers } = await rpc<Certificate>(first(), 'mpbp_getFinalityCertificate', [
        'latest',
      ]);
      return signers.map(Number).includes(place);
    });
    await sameSets(5);
  });

  it('one rotates its key over a restart', async () => {
    const before = (await validator(1)).consensusKey;
    const [dataDir = '', node = ''] = [net.ready.dataDirs[1], net.ready.rpc[1]];
    const rotate = ['validator', 'rotate', '--data-dir', dataDir, '--node', node, ...signed(1)];
    assert.equal((await cli<{ step: string }>(...rotate)).step, 'made');
    net.kill(1);
    net.restart(1);
    await eventually('it answers', async () => (await epochOf(node)) >= 1);
    const done = await cli<{ step: string; consensusKey: string }>(...rotate, '--watch');
    assert.equal(done.step, 'done');
    assert.notEqual(done.consensusKey, before);
    const log = await run(['audit', 'log', dataDir]);
    assert.match(log.stdout, /consensus key made (.|\n)* start (.|\n)*consensus key rotated /);
    assert.equal(log.code, 0, 'written by the node and by commands beside it, in one chain');
    const { validators } = await set(first());
    assert.ok(validators.some(({ consensusKey }) => consensusKey === done.consensusKey));
    assert.ok(!validators.some(({ consensusKey }) => consensusKey === before));
    await eventually('it signs with the new key', async () => {
      const status = await rpc<{ validator: string | null }>(node, 'mpbp_nodeStatus');
      return status.validator !== null;
    });
  });

  it('one leaves, and stakes change', async () => {
    await cli('validator', 'leave', ...signed(3), '--watch');
    assert.equal((await validator(3)).inForce, null);
    await cli('validator', 'bond', '2', ...signed(0));
    await cli('validator', 'unbond', '4', ...signed(2));
    await eventually('both count', async () => {
      const stakes = (await set(first())).validators.map(({ stake }) => Number(stake));
      return stakes.sort((a, b) => a - b).join() === '6,10,10,12';
    });
    await sameSets(4);
  });

  it(`${setChanges} changes, one validator killed now and then`, async (t) => {
    const senders = [0, 1, 2, 3, fifth].map(
      (index) => new Sender(first(), net.ready.chainId, memberWords(index)),
    );
    const tookMs: number[] = [];
    // The first has nearly a third: it begins by giving something back.
    const bonded = [true, false, false];
    let isIn = true;
    let again: ChildProcess | null = null;
    for (let change = 0; change < setChanges; change++) {
      // Every eighth change without one of them, by SIGKILL; it comes back in the next.
      const isWithoutOne = change > 0 && change % 8 === 0;
      if (isWithoutOne) {
        if (again === null) net.kill(killed);
        else again.kill('SIGKILL');
      }
      const begun = performance.now();
      const epoch = await epochOf(first());
      if (change % 4 === 3) {
        if (isIn) await senders[4]?.call(registry, 'deactivateValidator', [BigInt(fifth)]);
        else await readmit(senders);
        isIn = !isIn;
      } else {
        const at = change % 3;
        const index = BigInt(at);
        const amount = vote;
        if (bonded[at]) await senders[at]?.call(registry, 'unbond', [index, amount]);
        else await senders[at]?.call(registry, 'bond', [index, ZERO_ADDRESS, amount], amount);
        bonded[at] = !bonded[at];
      }
      await eventually('the next epoch', async () => (await epochOf(first())) > epoch);
      tookMs.push(performance.now() - begun);
      if (isWithoutOne) again = net.restart(killed);
    }
    const sorted = [...tookMs].sort((a, b) => a - b);
    const total = tookMs.reduce((sum, ms) => sum + ms, 0);
    t.diagnostic(
      `${setChanges} changes in ${(total / 1_000).toFixed(1)} s; one: p50 ` +
        `${ms(sorted[sorted.length >> 1])}, most ${ms(sorted.at(-1))}; ` +
        `epoch ${await epochOf(first())}`,
    );
    await sameSets(isIn ? 4 : 3);
  });

  it('no payment waited long, and all nodes have one record', async (t) => {
    await load.stop();
    const sorted = load.latenciesMs.sort((a, b) => a - b);
    const at = (part: number) => ms(sorted[Math.floor(part * (sorted.length - 1))]);
    t.diagnostic(
      `${sorted.length} payments: p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, most ${at(1)}`,
    );
    assert.deepEqual(load.failures, []);
    assert.ok((sorted.at(-1) ?? 0) < stallMsMax, `a payment waited ${sorted.at(-1)} ms`);
    const top = BigInt(await rpc<string>(first(), 'eth_blockNumber'));
    for (const url of urls()) {
      await eventually(`${url} reaches ${top}`, async () => {
        return BigInt(await rpc<string>(url, 'eth_blockNumber')) >= top;
      });
    }
    for (let number = 0n; number <= top; number++) {
      const blocks = await Promise.all(
        urls().map((url) => rpc<Block>(url, 'eth_getBlockByNumber', [toHex(number), false])),
      );
      const distinct = new Set(blocks.map(({ hash, stateRoot }) => `${hash} ${stateRoot}`));
      assert.equal(distinct.size, 1, `block ${number}`);
    }
    t.diagnostic(`${top} blocks`);
  });

  it('prove the newest block over all epochs, to somebody without a node', async () => {
    const file = join(net.dir, 'proof.json');
    const taken = ['audit', 'proof', 'latest', '--out', file, '--rpc', urls()[1] ?? ''];
    assert.equal((await run(taken)).code, 0);
    const genesis = join(net.dir, 'genesis.json');
    const report = await cli<{ final: boolean; epoch: number }>(
      ...['audit', 'verify', file, '--genesis', genesis],
    );
    assert.equal(report.final, true);
    // The newest block may be the last of its epoch.
    assert.ok(report.epoch >= (await epochOf(first())) - 1);
  });

  it('leave records that an auditor finds sound', async () => {
    await bank.stop();
    await net.stop();
    for (const dataDir of [...net.ready.dataDirs, bank.dataDir]) {
      const report = await cli<{ sound: boolean }>('audit', 'replay', dataDir);
      assert.equal(report.sound, true);
    }
  });

  /** The fifth comes back: a proposal, four votes of five, READY. */
  async function readmit(senders: readonly Sender[]): Promise<void> {
    const [one, , , , own] = senders;
    const activate = encodeCall(registry, 'activateValidator', BigInt(fifth));
    await one?.call(council, 'propose', [[registry.address], [activate], 0n, 'back again']);
    type Proposals = { proposals: { id: string }[] };
    const { proposals } = await rpc<Proposals>(first(), 'mpbp_getMembership');
    const id = BigInt(proposals.at(-1)?.id ?? 0);
    await Promise.all(
      senders.slice(0, 4).map((sender) => sender.call(council, 'castVote', [id, 1n, ZERO_HASH])),
    );
    await one?.call(council, 'execute', [id]);
    const block = await rpc<Block>(bank.url, 'eth_getBlockByNumber', ['latest', false]);
    await own?.call(registry, 'signalReady', [BigInt(fifth), BigInt(block.number), block.hash]);
  }

  async function validator(index: number): Promise<Validator> {
    type Membership = { validators: Validator[] };
    const { validators } = await rpc<Membership>(first(), 'mpbp_getMembership');
    return validators[index] ?? assert.fail(`validator ${index}`);
  }

  async function sameSets(size: number): Promise<void> {
    await eventually('all nodes have the same set', async () => {
      const sets = await Promise.all(urls().map(set));
      assert.equal(sets[0]?.validators.length, size);
      return new Set(sets.map(({ epoch, hash }) => `${epoch} ${hash}`)).size === 1;
    });
  }
});

function set(url: string): Promise<ValidatorSet> {
  return rpc<ValidatorSet>(url, 'mpbp_getValidators');
}

function ms(value: number | undefined): string {
  return `${Math.round(value ?? 0)} ms`;
}

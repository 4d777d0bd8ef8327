import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Message } from '#consensus/core/types.ts';
import { OtherEpochs } from '#consensus/engine/otherEpochs.ts';
import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, Height, View } from '#src/types/units.ts';
import { type Statement, VoteKind } from '#src/types/vote.ts';

const boundary = `0x${'bb'.repeat(32)}` as Hash;

function certificate(epoch: number, view: number, blockHash = boundary): Certificate {
  const statement: Statement = {
    kind: VoteKind.Finalize,
    epoch: epoch as Epoch,
    view: view as View,
    parentView: 0 as View,
    blockHash,
  };
  return { statement, setSize: 4, signers: [0, 1, 2], signatures: [] };
}

/** A node in epoch 2, whose epochs 0 and 1 have ended. */
function node() {
  const said: { to: string; message: Message }[] = [];
  const told: string[] = [];
  const fetched: unknown[] = [];
  const passed: Message[] = [];
  const clock = { time: 0, now: () => clock.time, wall: () => 0 };
  const others = new OtherEpochs({
    clock,
    ledger: { transition: (epoch) => (epoch < 2 ? certificate(epoch, 40) : null) },
    here: () => 2 as Epoch,
    send: (to, message) => said.push({ to, message }),
    tellStatus: (peer) => told.push(peer),
    catchUp: (place) => fetched.push(place),
    pass: (_, message) => passed.push(message),
  });
  const receive = (peer: string, epoch: number, message: Message | null = null) =>
    others.receive(peer, new Uint8Array(100), epoch as Epoch, message);
  return { others, receive, said, told, fetched, passed, clock };
}

const vote = (epoch: number): Message => ({
  t: 'vote',
  vote: { statement: certificate(epoch, 3).statement, signer: 0, signature: new Uint8Array(64) },
});

describe('messages of other epochs', () => {
  it('R9: who still votes in an epoch that is over is told how it ended', () => {
    const { receive, said } = node();
    receive('a', 0, vote(0));
    receive('b', 1, vote(1));
    const told = said.map(({ to, message }) => [
      to,
      message.t === 'certificate' && message.certificate.statement.epoch,
    ]);
    assert.deepEqual(told, [
      ['a', 0],
      ['b', 1],
    ]);
  });

  it('R9: once in 50 ms, however many votes come', () => {
    const { receive, said, clock } = node();
    for (let i = 0; i < 1_000; i++) receive('a', 0, vote(0));
    assert.equal(said.length, 1);
    clock.time = 60;
    receive('a', 0, vote(0));
    assert.equal(said.length, 2);
  });

  it('two nodes that both know the end do not go on telling each other', () => {
    const { receive, said } = node();
    receive('a', 1, { t: 'certificate', certificate: certificate(1, 40) });
    assert.equal(said.length, 0);
  });

  it('a peer at the base of this epoch is a peer like any other', () => {
    const { receive, said, passed } = node();
    const status: Message = { t: 'status', height: 9n as Height, certificate: certificate(1, 41) };
    receive('a', 1, status);
    assert.equal(said.length, 0);
    assert.deepEqual(passed, [status]);
  });

  it('who shows the end of one epoch stands in the next, and is told how that one ended', () => {
    const { receive, said } = node();
    const status: Message = { t: 'status', height: 5n as Height, certificate: certificate(0, 41) };
    receive('a', 0, status);
    const [{ message } = assert.fail('an answer')] = said;
    assert.ok(message.t === 'certificate');
    assert.equal(message.certificate.statement.epoch, 1);
  });

  it('who hears of a later epoch shows what it has, and fetches what a status claims', () => {
    const { receive, told, fetched } = node();
    receive('a', 5, vote(5));
    const other = certificate(4, 7, `0x${'cc'.repeat(32)}` as Hash);
    receive('b', 4, { t: 'status', height: 99n as Height, certificate: other });
    assert.deepEqual(told, ['a', 'b']);
    assert.deepEqual(fetched, [{ epoch: 4, view: 7 }]);
  });

  it('keeps messages of the next epoch until it begins, within limits, and of no other', () => {
    const { others, receive } = node();
    receive('a', 3, vote(3));
    receive('b', 4, vote(4));
    assert.deepEqual(
      others.release().map(({ peer }) => peer),
      ['a'],
    );
    assert.deepEqual(others.release(), []);
    for (let i = 0; i < 5_000; i++) receive('a', 3, vote(3));
    assert.equal(others.release().length, 64, 'of one peer');
    for (let i = 0; i < 5_000; i++) receive(`p${i % 100}`, 3, vote(3));
    assert.equal(others.release().length, 1_024, 'of all');
    const huge = { length: 2 * 1024 * 1024 } as unknown as Uint8Array;
    for (let i = 0; i < 5; i++) others.receive('a', huge, 3 as Epoch, null);
    assert.equal(others.release().length, 1, 'of one peer');
    for (let i = 0; i < 9; i++) others.receive(`p${i}`, huge, 3 as Epoch, null);
    assert.equal(others.release().length, 4, 'of all');
  });
});

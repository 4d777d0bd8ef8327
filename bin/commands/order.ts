import { Command } from 'commander';
import {
  cancelCommand,
  captureCommand,
  createCommand,
  expireCommand,
  payOrderCommand,
  reclaimCommand,
  refundCommand,
  showOrderCommand,
  voidCommand,
} from './sales/orders.ts';

export function orderCommand(): Command {
  return new Command('order')
    .description('a sale: ask for a payment, take it in one step or later, give it back')
    .addCommand(createCommand())
    .addCommand(showOrderCommand())
    .addCommand(payOrderCommand())
    .addCommand(captureCommand())
    .addCommand(voidCommand())
    .addCommand(cancelCommand())
    .addCommand(refundCommand())
    .addCommand(reclaimCommand())
    .addCommand(expireCommand());
}

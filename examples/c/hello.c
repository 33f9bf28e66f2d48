/* SPDX-License-Identifier: BSD-3-Clause */
/* Sends a frame over a wire that loses it on purpose, and sees the counter that names the loss; then over one that does
 * not. */
#include <pollux/pollux.h>
#include <stdio.h>
#include <string.h>

static const char kFrame[60] = "\xFF\xFF\xFF\xFF\xFF\xFF\x02\x00\x00\x00\x00\x01\x88\xB5Hello"; /* broadcast */

/* Sends the frame from port `from` to port `to`, and prints what became of it. */
static int send_one(pollux_context* context, const char* from, const char* to, uint32_t card, pollux_error* error) {
  pollux_port* left = pollux_port_open(context, from, NULL, error);
  pollux_port* right = left == NULL ? NULL : pollux_port_open(context, to, NULL, error);
  int status = 1;
  if (right != NULL && pollux_port_wait_for_link(left, 10000000000, error) == POLLUX_OK &&
      pollux_port_wait_for_link(right, 10000000000, error) == POLLUX_OK) {
    pollux_pool* pool = pollux_pool_of_port(left, 0, error);
    pollux_frame frame;
    if (pool != NULL && pollux_alloc(pool, &frame, 1, sizeof kFrame)) {
      memcpy(frame.data, kFrame, sizeof kFrame);
      if (pollux_tx_burst(pollux_port_tx(left, 0), &frame, 1) == 0) pollux_free(pool, &frame, 1);
      pollux_context_sleep(context, 1000000); /* virtual time: the card sends the frame */
      uint32_t received = pollux_rx_burst(pollux_port_rx(right, 0), &frame, 1);
      if (received != 0) {
        printf("%s: %u bytes, %.5s\n", to, (unsigned)frame.length, (const char*)frame.data + 14);
        pollux_free(NULL, &frame, 1);
      }
      char* wire = pollux_wire_counters(context, card, error); /* JSON: entered, carried, lost and others */
      if (wire != NULL) {
        printf("%s: %u received; the wire: %s\n", to, (unsigned)received, wire);
        status = 0;
      }
      pollux_text_free(wire);
    }
    pollux_pool_close(pool);
  }
  pollux_port_close(right, status == 0 ? error : NULL);
  pollux_port_close(left, status == 0 ? error : NULL);
  return status;
}

int main(void) {
  pollux_error error;
  pollux_context_options options = {.size = sizeof options, .flags = POLLUX_VIRTUAL_TIME};
  pollux_context* context = pollux_context_open(&options, &error);
  int status = context == NULL || send_one(context, "sim:0?loss=1", "sim:1", 0, &error) != 0 ||
               send_one(context, "sim:2", "sim:3", 2, &error) != 0;
  if (status != 0) fprintf(stderr, "hello: %s\n", error.message); /* what failed, and how to fix it */
  pollux_context_close(context);
  return fflush(stdout) == 0 ? status : 1;
}

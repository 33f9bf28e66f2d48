/* SPDX-License-Identifier: BSD-3-Clause */
/* As forward.cpp. usage: forward_in_c BURST keep|swap */
#include <pollux/pollux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BURST = 32 };

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void swap_macs(uint8_t* data) {
  uint8_t to[6];
  memcpy(to, data, 6);
  memcpy(data, data + 6, 6);
  memcpy(data + 6, to, 6);
}

static double forward(pollux_rx* rx, pollux_tx* tx, uint32_t limit, bool swaps, double duration) {
  pollux_frame frames[BURST];
  double all = 0, passed = 0;
  for (const double begun = seconds(); passed < duration; passed = seconds() - begun) {
    for (int i = 0; i < 1000; ++i) {
      const uint32_t count = pollux_rx_burst(rx, frames, limit);
      for (uint32_t k = 0; swaps && k < count; ++k) swap_macs(frames[k].data);
      const uint32_t sent = pollux_tx_burst(tx, frames, count);
      if (sent < count) pollux_free(NULL, frames + sent, count - sent);
      all += count;
    }
  }
  return passed * 1e9 / all;
}

int main(int argc, char** argv) {
  const int limit = argc == 3 ? atoi(argv[1]) : 0;
  if (limit < 1 || limit > BURST)
    return fprintf(stderr, "usage: forward_in_c BURST keep|swap; a burst has 1 to 32 frames\n"), 2;
  const bool swaps = strcmp(argv[2], "swap") == 0;
  pollux_error error;
  pollux_context* context = pollux_context_open(NULL, &error);
  pollux_port* from = context == NULL ? NULL : pollux_port_open(context, "null:?rx=64", NULL, &error);
  pollux_port* to = from == NULL ? NULL : pollux_port_open(context, "null:", NULL, &error);
  if (to == NULL) return fprintf(stderr, "forward_in_c: %s\n", error.message), 1;
  pollux_rx* rx = pollux_port_rx(from, 0);
  pollux_tx* tx = pollux_port_tx(to, 0);
  forward(rx, tx, (uint32_t)limit, swaps, 0.05);
  printf("%.3f\n", forward(rx, tx, (uint32_t)limit, swaps, 0.2));
  pollux_port_close(to, NULL);
  pollux_port_close(from, NULL);
  pollux_context_close(context);
  return fflush(stdout) == 0 ? 0 : 1;
}

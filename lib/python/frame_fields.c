/* SPDX-License-Identifier: BSD-3-Clause */
/* What a port says of a frame, and what it is asked to do with it. */
#include "module.h"

typedef enum Field {
  RSS_HASH,
  VLAN,
  VLAN_IS_INNER,
  IS_BAD,
  PACKET_TYPE,
  PORT,
  IP_CHECKSUM,
  L4_CHECKSUM,
  TIMESTAMP
} Field;

static PyObject* none_or(bool there, unsigned long long value) {
  if (!there) Py_RETURN_NONE;
  return PyLong_FromUnsignedLongLong(value);
}

static PyObject* field_of(Frame* self, void* closure) {
  enum { kSoftware = 4095 };
  if (!frame_usable(self)) return NULL;
  pollux_metadata said = {.size = sizeof said};
  pollux_frame_metadata(&self->frame, &said);
  const State* state = self->context->state;
  switch ((Field)(intptr_t)closure) {
    case RSS_HASH: return none_or((said.flags & POLLUX_HAS_RSS_HASH) != 0, said.rss_hash);
    case VLAN: return none_or((said.flags & POLLUX_HAS_VLAN) != 0, said.vlan);
    case VLAN_IS_INNER: return PyBool_FromLong((said.flags & POLLUX_VLAN_IS_INNER) != 0);
    case IS_BAD: return PyBool_FromLong((said.flags & POLLUX_BAD_FRAME) != 0);
    case PACKET_TYPE: return PyObject_CallFunction(state->packet_type, "k", (unsigned long)said.packet_type);
    case PORT: return none_or(said.port != kSoftware, said.port);
    case IP_CHECKSUM: return PyObject_CallFunction(state->checksum, "i", (int)said.ip_checksum);
    case L4_CHECKSUM: return PyObject_CallFunction(state->checksum, "i", (int)said.l4_checksum);
    case TIMESTAMP: return none_or(said.timestamp != 0, said.timestamp);
  }
  Py_RETURN_NONE;
}

static PyObject* is_shared(Frame* self, void* Py_UNUSED(closure)) {
  return frame_usable(self) ? PyBool_FromLong((self->frame.flags & POLLUX_FRAME_SHARED) != 0) : NULL;
}

static PyObject* is_segmented(Frame* self, void* Py_UNUSED(closure)) {
  return frame_usable(self) ? PyBool_FromLong((self->frame.flags & POLLUX_FRAME_SEGMENTED) != 0) : NULL;
}

#define POLLUX_FIELD(name, field, text) \
  { name, (getter)field_of, NULL, text, (void*)(intptr_t)(field) }
PyGetSetDef frame_fields[] = {
    POLLUX_FIELD("rss_hash", RSS_HASH, "The card's hash of its flow, or None."),
    POLLUX_FIELD("vlan", VLAN, "Tag control information of a tag that the card has stripped, or None."),
    POLLUX_FIELD("vlan_is_inner", VLAN_IS_INNER, "The stripped tag was behind an outer one."),
    POLLUX_FIELD("is_bad", IS_BAD, "The card reports an error in it (setting keep_bad_frames)."),
    POLLUX_FIELD("packet_type", PACKET_TYPE, "The headers that the card has recognised, a PacketType."),
    POLLUX_FIELD("port", PORT, "The index of the port that received it, or None."),
    POLLUX_FIELD("ip_checksum", IP_CHECKSUM, "A Checksum."),
    POLLUX_FIELD("l4_checksum", L4_CHECKSUM, "A Checksum."),
    POLLUX_FIELD("timestamp", TIMESTAMP, "Nanoseconds of the card's clock, or None."),
    {"is_shared", (getter)is_shared, NULL, "Another frame has the same bytes, which cannot be written.", NULL},
    {"is_segmented", (getter)is_segmented, NULL, "It has several buffers, so bytes() copies it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static bool offload_of(PyObject* args, PyObject* words, pollux_offload* offload) {
  static char* names[] = {"flags",    "vlan",     "outer_vlan", "l2",           "l3",
                          "outer_l2", "outer_l3", "l4",         "segment_size", NULL};
  long long flags;
  int given[8] = {0};
  if (!PyArg_ParseTupleAndKeywords(args, words, "L|$iiiiiiii", names, &flags, &given[0], &given[1], &given[2],
                                   &given[3], &given[4], &given[5], &given[6], &given[7]))
    return false;
  if (flags < 0 || flags > UINT32_MAX) {
    PyErr_SetString(PyExc_ValueError, "flags are those of Offload");
    return false;
  }
  uint16_t values[8];
  for (int i = 0; i < 8; ++i) {
    if (given[i] < 0 || given[i] > UINT16_MAX) {
      PyErr_Format(PyExc_ValueError, "%s has to be 0 to 65535", names[i + 1]);
      return false;
    }
    values[i] = (uint16_t)given[i];
  }
  *offload = (pollux_offload){.size = sizeof *offload,
                              .flags = (uint32_t)flags,
                              .vlan = values[0],
                              .outer_vlan = values[1],
                              .l2 = values[2],
                              .l3 = values[3],
                              .outer_l2 = values[4],
                              .outer_l3 = values[5],
                              .l4 = values[6],
                              .segment_size = values[7]};
  return true;
}

PyObject* frame_request(PyObject* self, PyObject* args, PyObject* words) {
  pollux_offload offload;
  if (!offload_of(args, words, &offload) || !frame_usable((Frame*)self)) return NULL;
  pollux_frame_set_offload(&((Frame*)self)->frame, &offload);
  Py_RETURN_NONE;
}

PyObject* frame_request_checksums(PyObject* self, PyObject* args, PyObject* words) {
  pollux_offload offload;
  if (!offload_of(args, words, &offload) || !frame_is_whole((Frame*)self)) return NULL;
  if (!pollux_frame_request_checksums(&((Frame*)self)->frame, &offload)) {
    PyErr_SetString(PyExc_ValueError, "the request does not fit the frame: check the lengths of its headers");
    return NULL;
  }
  Py_RETURN_NONE;
}

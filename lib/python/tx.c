/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "module.h"

PyObject* tx_new(Port* port, pollux_tx* queue) {
  Tx* self = (Tx*)new_object(port->context->state->tx);
  if (self == NULL) return NULL;
  Py_INCREF((PyObject*)port);
  self->port = port;
  self->queue = queue;
  return (PyObject*)self;
}

static int tx_traverse(Tx* self, visitproc visit, void* arg) {
  Py_VISIT((PyObject*)Py_TYPE((PyObject*)self));
  Py_VISIT((PyObject*)self->port);
  return 0;
}

static void tx_dealloc(Tx* self) {
  PyObject_GC_UnTrack(self);
  Py_DECREF((PyObject*)self->port);
  free_object((PyObject*)self);
}

static PyObject* tx_burst(Tx* self, PyObject* frames) {
  Port* port = self->port;
  Batch batch;
  if (!port_usable(port) || !batch_take(&batch, port->context, frames)) return NULL;
  if (!queue_begin(port, &self->busy)) {
    batch_end(&batch, 0);
    return NULL;
  }
  uint32_t sent;
  Py_BEGIN_ALLOW_THREADS
  sent = pollux_tx_burst(self->queue, batch.frames, batch.count);
  Py_END_ALLOW_THREADS
  queue_end(port, &self->busy);
  batch_end(&batch, sent);
  deliver(port->context);
  return PyLong_FromUnsignedLong(sent);
}

static PyObject* tx_send(Tx* self, PyObject* content) {
  Port* port = self->port;
  if (!port_usable(port)) return NULL;
  Py_buffer view;
  if (PyObject_GetBuffer(content, &view, PyBUF_SIMPLE) != 0) return NULL;
  pollux_frame frame;
  uint32_t sent = 0;
  bool began = queue_begin(port, &self->busy);
  if (began && !port_allocate(port, &frame, view.len > UINT32_MAX ? UINT32_MAX : (uint32_t)view.len)) {
    queue_end(port, &self->busy);
    began = false;
  }
  if (began) {
    memcpy(frame.data, view.buf, (size_t)view.len);
    Py_BEGIN_ALLOW_THREADS
    sent = pollux_tx_burst(self->queue, &frame, 1);
    Py_END_ALLOW_THREADS
    queue_end(port, &self->busy);
    if (sent == 0) {
      pollux_free(NULL, &frame, 1);
      PyErr_SetString(PyExc_BlockingIOError, "the transmit ring is full: nothing was sent, try again later");
    }
  }
  PyBuffer_Release(&view);
  if (sent == 0) return NULL;
  deliver(port->context);
  Py_RETURN_NONE;
}

static PyMethodDef tx_methods[] = {
    {"burst", (PyCFunction)tx_burst, METH_O,
     "burst(frames): sends what fits from the front, and returns how many; the others stay the program's."},
    {"send", (PyCFunction)tx_send, METH_O, "send(bytes): sends a copy of them as a frame."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tx_slots[] = {
    {Py_tp_dealloc, tx_dealloc},
    {Py_tp_traverse, tx_traverse},
    {Py_tp_methods, tx_methods},
    {Py_tp_doc, "A transmit queue of a port."},
    {0, NULL},
};

PyType_Spec tx_spec = {
    .name = "pollux.Tx",
    .basicsize = sizeof(Tx),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = tx_slots,
};

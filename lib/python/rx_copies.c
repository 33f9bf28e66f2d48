/* SPDX-License-Identifier: BSD-3-Clause */
/* Receiving copies: bytes, and rows of an array. */
#include <string.h>

#include "module.h"

PyObject* rx_read(Rx* self, PyObject* const* args, Py_ssize_t count) {
  if (count > 1) return PyErr_Format(PyExc_TypeError, "read takes at most 1 argument, not %zd", count);
  Descriptors room;
  if (!descriptors_begin(&room, args, count)) return NULL;
  PyObject* list = NULL;
  Port* port = self->port;
  if (queue_begin(port, &self->busy)) {
    uint32_t received;
    Py_BEGIN_ALLOW_THREADS
    received = pollux_rx_burst(self->queue, room.frames, room.count);
    Py_END_ALLOW_THREADS
    queue_end(port, &self->busy);
    deliver(port->context);
    list = PyList_New((Py_ssize_t)received);
    for (uint32_t i = 0; list != NULL && i < received; ++i) {
      const size_t bytes = pollux_frame_bytes(&room.frames[i]);
      PyObject* copy = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
      if (copy == NULL) {
        Py_CLEAR(list);
      } else {
        pollux_frame_copy(&room.frames[i], 0, PyBytes_AsString(copy), bytes);
        PyList_SetItem(list, (Py_ssize_t)i, copy);
      }
    }
    if (list == NULL) {
      forget(port->context, room.frames, received);
    } else {
      pollux_free(NULL, room.frames, received);
    }
  }
  descriptors_end(&room);
  return list;
}

/* The bytes of an item of a format of one native integer; 0: it is another. */
static size_t integer_size(const char* format) {
  static const char kSizes[][2] = {{'B', 1}, {'b', 1}, {'H', 2}, {'h', 2}, {'I', 4}, {'i', 4},
                                   {'L', 8}, {'l', 8}, {'Q', 8}, {'q', 8}, {'N', 8}, {'n', 8}};
  if (format == NULL) return 1;
  if (*format == '@' || *format == '=') ++format;
  for (size_t i = 0; i < sizeof kSizes / sizeof kSizes[0]; ++i) {
    if (format[0] == kSizes[i][0] && format[1] == '\0') return (size_t)kSizes[i][1];
  }
  return 0;
}

static bool get_rows(PyObject* object, Py_buffer* rows) {
  if (PyObject_GetBuffer(object, rows, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) return false;
  if (rows->ndim == 2 && rows->itemsize == 1 && integer_size(rows->format) == 1) return true;
  PyErr_SetString(PyExc_ValueError, "rows have to be a two-dimensional array of bytes, a row for each frame");
  PyBuffer_Release(rows);
  return false;
}

static bool get_lengths(PyObject* object, Py_buffer* lengths, Py_ssize_t rows) {
  if (PyObject_GetBuffer(object, lengths, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) return false;
  if (lengths->ndim == 1 && lengths->itemsize >= 2 && (size_t)lengths->itemsize == integer_size(lengths->format) &&
      lengths->shape[0] >= rows)
    return true;
  PyErr_Format(PyExc_ValueError, "lengths have to be an array of %zd integers of 2, 4 or 8 bytes, one for each row",
               rows);
  PyBuffer_Release(lengths);
  return false;
}

static void store(const Py_buffer* lengths, uint32_t index, uint32_t value) {
  char* place = (char*)lengths->buf + (Py_ssize_t)index * lengths->itemsize;
  const uint16_t narrow = value > INT16_MAX ? INT16_MAX : (uint16_t)value; /* the array may be signed */
  const uint64_t wide = value;
  if (lengths->itemsize == 2) {
    memcpy(place, &narrow, sizeof narrow);
  } else if (lengths->itemsize == 4) {
    memcpy(place, &value, sizeof value);
  } else {
    memcpy(place, &wide, sizeof wide);
  }
}

/* Without the GIL. */
static uint32_t receive_into(Rx* self, const Py_buffer* rows, const Py_buffer* lengths) {
  pollux_frame frames[64];
  const size_t width = (size_t)rows->shape[1];
  const uint32_t room = rows->shape[0] > INT32_MAX ? INT32_MAX : (uint32_t)rows->shape[0];
  uint32_t received = 0;
  while (received != room) {
    const uint32_t most = room - received < 64 ? room - received : 64;
    const uint32_t count = pollux_rx_burst(self->queue, frames, most);
    for (uint32_t i = 0; i < count; ++i) {
      pollux_frame_copy(&frames[i], 0, (char*)rows->buf + (received + i) * width, width);
      store(lengths, received + i, pollux_frame_bytes(&frames[i]));
    }
    pollux_free(NULL, frames, count);
    received += count;
    if (count < most) break;
  }
  return received;
}

PyObject* rx_burst_into(Rx* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) return PyErr_Format(PyExc_TypeError, "burst_into takes rows and lengths, not %zd arguments", count);
  Py_buffer rows, lengths;
  if (!get_rows(args[0], &rows)) return NULL;
  PyObject* result = NULL;
  if (get_lengths(args[1], &lengths, rows.shape[0])) {
    Port* port = self->port;
    if (queue_begin(port, &self->busy)) {
      uint32_t received;
      Py_BEGIN_ALLOW_THREADS
      received = receive_into(self, &rows, &lengths);
      Py_END_ALLOW_THREADS
      queue_end(port, &self->busy);
      deliver(port->context);
      result = PyLong_FromUnsignedLong(received);
    }
    PyBuffer_Release(&lengths);
  }
  PyBuffer_Release(&rows);
  return result;
}
